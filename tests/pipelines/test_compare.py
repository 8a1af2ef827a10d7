"""Two runs written to a real store, read back, and set side by side."""

import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from pipelines import compare
from pipelines.comparison.page import _charts, draw, render
from pipelines.comparison.runs import Compared, metric_rows, param_rows, read_run
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.stage_run import TrackingConfig, stage_run

CONFIG = TrackingConfig(system_metrics=False)


def write_run(root, tag, kind, kid, folder, *, seed=0, train=True):
    """A finished pipeline of one EMA length."""
    sections = {
        "seed": seed,
        "structure": {"kind": kind},
        "dataset": {"source": "digits"},
        "cluster": {"num_workers": seed},
    }
    params = SimpleNamespace(tracking=CONFIG, model_dump=lambda mode: sections)
    options = {"root": root, "param_keys": ()}
    if train:
        with stage_run("train", params, tag, f"train-{kind}", **options) as run:
            for nimg in range(100, 600, 100):
                run.log_metrics({"denoising_loss": kid + 1 / nimg, "kimg": nimg / 1000}, nimg)
    with stage_run("evaluate", params, tag, f"e-{tag}", item="0.1-default", **options) as run:
        run.log_metrics({"kid": kid, "kid_floor": 0.01, "kid_floor_std": 0.02, "img_per_s": 9.0})
        picture = folder / "samples.png"
        Image.fromarray(np.full([8, 8], round(1000 * kid), np.uint8)).save(picture)
        run.log_artifact(picture)
    with stage_run("summarize", params, tag, f"s-{tag}", **options) as run:
        run.add_restored("train", f"train-{kind}")
        run.parent.log_metrics({"kid": kid, "kid_floor": 0.01})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)  # where there are no presets to compare with
        write_run(root, "aaaa1111", "graph", 0.10, root)
        write_run(root, "bbbb1111", "none", 0.16, root)
        write_run(root, "bbbb2222", "none", 0.17, root, seed=1, train=False)
    return open_run_store(CONFIG, root)


@pytest.fixture(scope="module")
def runs(store):
    return [read_run(store, compare.find_run(store, name)) for name in ("aaaa", "bbbb1")]


def test_a_run_is_read_back_whole(runs):
    graph = runs[0]
    assert graph.name == "digits graph s0 aaaa"
    assert graph.params["structure.kind"] == "graph"
    assert graph.items["0.1-default"]["kid"] == 0.10
    assert graph.curves["denoising_loss"][0] == [100, 200, 300, 400, 500]
    assert "kimg" not in graph.curves
    assert np.asarray(Image.open(io.BytesIO(graph.samples["0.1-default"])))[0, 0] == 100


def test_a_cached_stage_is_read_where_it_was_made(store):
    run = read_run(store, compare.find_run(store, "bbbb2"))
    assert len(run.curves["denoising_loss"][0]) == 5


REPORT = {
    "items": {
        "0.1-heun18": {
            "ema_length": 0.1,
            "sampler": "heun18",
            "nfe": 35,
            "num_images": 64,
            "n": 20,
            "kid": {"value": 0.2, "floor": 0.01, "floor_std": 0.02},
        },
    },
}


@pytest.mark.parametrize("with_file", [True, False])
def test_a_run_whose_evaluate_was_skipped_shows_its_final_metrics(store, tmp_path, with_file):
    """The weights were the same in every byte, so that only summarize ran."""
    tag = f"cccc{with_file}"
    params = SimpleNamespace(tracking=CONFIG, model_dump=lambda mode: {"seed": 5})
    root = store.lock.lock_file.rpartition("/.runs")[0]
    with stage_run("summarize", params, tag, f"s-{tag}", root=root, param_keys=()) as run:
        run.parent.log_metrics({"kid": 0.2, "kid_floor": 0.01, "kid_floor_std": 0.02})
        run.parent.set_tags({"best.item": "0.1-heun18"})
        for key, step in (("samples heun18", 100), ("samples", 0)):
            run.parent.log_image(np.full([8, 8], 77, np.uint8), key, step)
        if with_file:
            (tmp_path / "metrics.json").write_text(json.dumps(REPORT))
            run.parent.log_artifact(tmp_path / "metrics.json")
    skipped = read_run(store, compare.find_run(store, tag))
    assert skipped.items["0.1-heun18"]["kid"] == 0.2
    assert np.asarray(Image.open(io.BytesIO(skipped.samples["0.1-heun18"])))[0, 0] == 77
    _, rows = metric_rows([skipped, read_run(store, compare.find_run(store, "bbbb1"))])
    (kid,) = [row for row in rows if row[0] == "KID"]
    assert kid[1:4] == ["0.200", "0.160", "0.010 ± 0.020"]


def test_rows_hold_what_differs_and_how_much(runs):
    assert param_rows(runs) == [["structure.kind", "graph", "none"]]
    head, rows = metric_rows(runs)
    assert head[1:3] == [run.name for run in runs]
    assert rows[0][1:3] == ["0.1-default", "0.1-default"]
    (kid,) = [row for row in rows if row[0] == "KID"]
    assert kid[1:] == ["0.100", "0.160", "0.010 ± 0.020", "+0.0600 (+3.0 std)"]


def test_runs_are_found_by_name_fingerprint_and_id(store):
    graph = compare.find_run(store, "digits graph s0 aaaa")
    for name in ("aaaa", "aaaa1111", graph.info.run_id, graph.info.run_id[:10], "digits graph"):
        assert compare.find_run(store, name).info.run_id == graph.info.run_id
    (child,) = [
        r for r in store.search({"stage": "train"}) if r.data.tags["pipeline"] == "aaaa1111"
    ]
    assert compare.find_run(store, child.info.run_id).info.run_id == graph.info.run_id
    with pytest.raises(ValueError, match="may be"):
        compare.find_run(store, "bbbb")
    with pytest.raises(ValueError, match=r"no run 'zzz'.*digits none s1 bbbb"):
        compare.find_run(store, "zzz")


def test_difference_is_printed_and_drawn(runs, store):
    console = Console(file=io.StringIO(), width=120)
    compare.print_difference(console, runs)
    console.print(compare.listing(store))
    text = console.file.getvalue()
    assert "structure.kind" in text and "+0.0600" in text and "digits none s1 bbbb" in text
    image = Image.open(io.BytesIO(draw(runs)))
    assert image.width > 1000 and image.height > 1000
    page = render(runs)
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)", page)
    assert page.count("data:image/png") >= 4
    assert "The same seeds" in page


def test_runs_without_results_are_compared_too():
    empty = [Compared("one", "1" * 32), Compared("two", "2" * 32, params={"seed": "1"})]
    assert metric_rows(empty)[1] == []
    assert param_rows(empty) == [["seed", "-", "1"]]
    assert "What differs" in render(empty)
    assert draw(empty)


def test_several_samplers_and_three_runs_are_drawn():
    items = {f"{n}-{s}": {"kid": 0.1 * n, "fd": 1.0} for n in (0.05, 0.1) for s in ("a", "b")}
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    pictures = {"0.05-a": buffer.getvalue()}
    three = [
        Compared(str(i), "", items=items, params={"seed": str(i)}, samples=pictures)
        for i in range(3)
    ]
    assert metric_rows(three)[0] == ["metric", "0", "1", "2", "real images"]
    assert "seeds differ" in render(three)
    assert draw(three)


def test_looking_makes_no_empty_store(tmp_path):
    with pytest.raises(ValueError, match="there are no runs"):
        compare.existing_run_store(CONFIG, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_short_length_is_charted_at_its_place():
    run = Compared("one", "1", items={f"{n}-heun18": {"kid": 0.1} for n in ("1e-05", "0.1")})
    (chart,) = [panel for panel in _charts([run]) if panel[0] == "KID"]
    assert chart[2]["groups"] == {"one": [(1e-05, 0.1), (0.1, 0.1)]}
