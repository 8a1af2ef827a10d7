"""Two runs written to a real store, read back, and set side by side."""

import io
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipelines import compare
from pipelines.comparison.page import _charts, _draw_panel, draw, render
from pipelines.comparison.runs import (
    Compared,
    equal_throughout,
    judging_rows,
    metric_rows,
    param_rows,
    read_run,
)
from pipelines.comparison.terminal import print_difference, print_judging, print_runs
from pipelines.console.terminal import terminal
from pipelines.reporting.figures import new_figure, png
from pipelines.tracking.connection import open_run_store
from pipelines.tracking.stage_run import JUDGED_BY, TrackingConfig, stage_run

CONFIG = TrackingConfig(system_metrics=False)


def write_run(root, tag, kind, kid, folder, *, seed=0, train=True, judged_by=None, note=None):
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
        run.set_tags({JUDGED_BY: json.dumps(judged_by)} if judged_by else {})
    with stage_run("summarize", params, tag, f"s-{tag}", **options) as run:
        run.add_restored("train", f"train-{kind}")
        run.parent.log_metrics({"kid": kid, "kid_floor": 0.01})
        run.parent.set_tags({"gate.note": note} if note else {})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)  # where there are no presets to compare with
        write_run(root, "aaaa1111", "graph", 0.10, root)
        write_run(root, "bbbb1111", "none", 0.16, root)
        write_run(root, "bbbb2222", "none", 0.17, root, seed=1, train=False)
        alike = {"dataset_hash": "9544", "n": 227, "data": "digits"}
        write_run(root, "dddd1111", "affinity", 0.2, root, judged_by=alike, note="the game never")
        write_run(root, "dddd2222", "none", 0.2, root, judged_by=alike)
        write_run(root, "eeee1111", "none", 0.1, root, judged_by=alike | {"n": 50})
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
    assert head[1:3] == ["graph aaaa", "none bbbb"]
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
    with pytest.raises(ValueError, match=r"no run 'zzz'.*digits none s0 eeee"):
        compare.find_run(store, "zzz")


def test_difference_is_printed_and_drawn(runs, store):
    console = terminal(file=io.StringIO(), width=120)
    print_runs(console, runs)
    print_difference(console, runs)
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


def of(store, *names):
    return [read_run(store, compare.find_run(store, name)) for name in names]


def printed(*lines, width=80):
    console = terminal(file=io.StringIO(), width=width)
    for line, *arguments in lines:
        line(console, *arguments)
    return console.file.getvalue()


def test_runs_that_were_judged_by_other_images_are_refused(store, monkeypatch, tmp_path, capsys):
    root = store.lock.lock_file.rpartition("/.runs")[0]
    monkeypatch.setattr(compare, "existing_run_store", lambda config, folder: store)
    monkeypatch.setattr(compare, "load_params", lambda path: SimpleNamespace(tracking=CONFIG))
    monkeypatch.chdir(root)
    words = ["compare", "dddd1", "eeee", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(ValueError, match=r"differ in n \(images on each side\).*--anyway"):
        compare.main()
    said = capsys.readouterr().out
    assert (
        re.search(r"n \(images on each side\) +227 +50", said) and not (tmp_path / "out").exists()
    )
    monkeypatch.setattr(sys, "argv", [*words, "--anyway"])
    compare.main()
    said = capsys.readouterr().out
    assert "difference" not in said and "real images" not in said
    assert said.count("(0.010 ± 0.020)") == 2  # each its own floor
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "Judged differently" in page and "<th>difference" not in page


def test_runs_judged_alike_are_compared_and_older_ones_by_what_they_say(store):
    assert judging_rows(of(store, "dddd1", "dddd2")) == []
    assert judging_rows(of(store, "dddd1", "aaaa")) == []  # which says nothing
    parent = compare.find_run(store, "aaaa")
    store.write_dataset(parent.info.run_id, {"source": "x", "content_hash": "f" * 64}, "train")
    rows = judging_rows(of(store, "dddd1", "aaaa"))
    assert rows == [["data", "digits (9544)", "digits (ffffffff)"]]


def test_a_game_that_moved_nothing_is_one_line_and_no_rows_of_zero(store):
    runs = of(store, "dddd1", "dddd2")
    assert equal_throughout(runs) and not equal_throughout(of(store, "dddd1", "aaaa"))
    assert not equal_throughout([Compared("a", ""), Compared("b", "")])
    said = printed((print_runs, runs), (print_judging, runs), (print_difference, runs))
    assert "digits affinity s0 dddd: the game never" in said
    assert "equal in every digit" in said
    assert "difference" not in said and "+0" not in said and "judged differently" not in said
    page = render(runs)
    assert "the game never" in page and "equal in every digit" in page


def test_the_last_column_is_printed_at_80_columns(runs):
    said = printed((print_runs, runs), (print_difference, runs))
    assert max(map(len, said.splitlines())) <= 80
    assert "+0.0600 (+3.0 std)" in said and "…" not in said


def test_legends_lie_on_no_curve(runs):
    for panel in _charts(runs):
        sheet = new_figure((5.6, 3.4))
        axes = sheet.subplots()
        _draw_panel(axes, panel)
        png(sheet)
        (legend,) = sheet.legends
        assert axes.get_legend() is None
        assert legend.get_window_extent().y1 <= axes.get_window_extent().y0
        assert [text.get_text() for text in legend.get_texts()][:2] == ["graph aaaa", "none bbbb"]


def test_a_mark_has_one_meaning(store):
    parent = compare.find_run(store, "dddd1")
    tags = {"git.commit": "9ade979" * 5, "git.dirty": "true", "git.changed": "params.yaml"}
    store.write(parent.info.run_id, tags=tags)
    said = printed((type(terminal()).print, compare.listing(store)), width=200)
    (row,) = [line for line in said.splitlines() if "digits affinity s0 dddd" in line]
    assert "digits affinity s0 dddd *" in row and row.rstrip().endswith("9ade979+")
    head = " ".join(said.split("name ")[0].split())
    assert "*: the game never played, or its gate never opened; +: code or settings" in head
    page = render(of(store, "dddd1", "dddd2"))
    assert "+: files that differed from the commit (affinity: params.yaml)." in page


def test_a_run_without_metrics_says_so_in_one_line(runs):
    empty = Compared("digits none s0 f00d", "f" * 32, "unfinished")
    said = printed((print_runs, [*runs, empty]), width=120)
    assert "digits none s0 f00d: it holds no metrics, since it was never evaluated\n" in said
    assert said.count("holds no metrics") == 1 and "unfinished" in said
