"""Several seeds: what is run, what is not run again, and the statistics."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from scipy import stats

from evaluation.paired_statistics import paired_difference
from pipelines import replicate
from pipelines.replicate import check_item, chosen, parse_option, parse_seeds, plan, run_all
from pipelines.replication.report import Result, print_tables, summarise, write_figure
from pipelines.settings.yaml_file import ParamsError, read_yaml

sys.path.insert(0, str(Path(__file__).parent))
from clone import Clone

RAW = read_yaml("presets/digits.yaml")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("structure.kind=none,graph", ["none", "graph"]),
        ("train.lr=0.01,1e-3", [0.01, 0.001]),
        ("model.channel_mult=[1,2],[1,2,2]", [[1, 2], [1, 2, 2]]),
        ("train.init_from=null,'a,b'", [None, "a,b"]),
        ("train.compile=true", [True]),
        ("model.structural_blocks=[{kind:graph_conv,k:4}]", [[{"kind": "graph_conv", "k": 4}]]),
    ],
)
def test_options(option, expected):
    assert parse_option(option) == (option.partition("=")[0], expected)


def test_plan_is_every_seed_of_every_variant():
    found = plan(RAW, "3", ["structure.kind=none,graph", "train.lr=0.01,0.02"])
    assert len(found) == 12 and [e.seed for e in found[::4]] == [0, 1, 2]
    assert found[0].variant == "structure.kind=none train.lr=0.01"
    assert len({e.name for e in found}) == 12
    assert [e.tag for e in plan(RAW, "3", ["train.lr=0.01"])] == [
        e.tag for e in plan(RAW, "0,1,2", ["train.lr=0.01"])
    ]
    assert [e.variant for e in plan(RAW, "2", [])] == ["params.yaml"] * 2
    assert parse_seeds("7,3", 0) == [7, 3] and parse_seeds("2", 5) == [5, 6]


@pytest.mark.parametrize(
    ("seeds", "options", "said"),
    [
        ("0", [], "--seeds 0"),
        ("a", [], "--seeds a"),
        ("1,1", [], "--seeds 1,1"),
        ("10000000000", [], "at most 1,000, as each is a whole run"),
        (",".join(map(str, range(2000))), [], "at most 1,000, as"),
        ("2", ["structure.kid=none"], "did you mean 'structure.kind'?"),
        ("2", ["structure.kind=nun"], "structure.kind"),
        ("2", ["structure.kind"], "KEY=VALUE"),
        ("2", ["seed=1,2"], "--seeds"),
        ("2", ["train.lr=0.1", "train.lr=0.2"], "twice"),
        ("2", ["structure=none"], "is a section"),
        ("2", ["model.channel_mult=[1,2"], "cannot be read"),
        ("2", ["train.lr=" + ",".join(f"0.{i}" for i in range(1, 60))], "for a sweep"),
    ],
)
def test_mistakes_are_told_before_anything_runs(seeds, options, said):
    with pytest.raises(ParamsError) as caught:
        plan(RAW, seeds, options)
    assert said in str(caught.value)


def test_an_item_that_some_variant_lacks_is_told_before_anything_runs():
    experiments = plan(RAW, "1", ["samplers=[heun18],[fast8]"])
    check_item(None, RAW, experiments)
    check_item("0.1-heun18", RAW, experiments[:1])
    with pytest.raises(ParamsError, match=r"--item 0.1-heun18: with samplers=.*fast8.* 0.05-fast8"):
        check_item("0.1-heun18", RAW, experiments)


def fake_report(value):
    items = {"a": {"kid": {"value": value, "floor": 0.0}, "nfe": 3}, "b": {"kid": {"value": 9.0}}}
    return {"best": {"item": "a"}, "items": items}


def test_done_experiments_are_not_run_again_and_failures_do_not_end_it(tmp_path, monkeypatch):
    ran = []

    def run(experiment, raw):
        ran.append((experiment.variant, experiment.seed))
        if experiment.seed == 1 and "none" in experiment.variant:
            raise RuntimeError("no space left")
        return fake_report(experiment.seed)

    monkeypatch.setattr(replicate, "run", run)
    experiments = plan(RAW, "2", ["structure.kind=none,graph"])
    results, failures = run_all(experiments, RAW, tmp_path, None)
    assert len(ran) == 4 and len(results) == 3 and "no space left" in failures[0]
    ran.clear()
    more = plan(RAW, "3", ["structure.kind=none,graph"])
    results, failures = run_all(more, RAW, tmp_path, None)
    assert ran == [
        ("structure.kind=none", 1),
        ("structure.kind=none", 2),
        ("structure.kind=graph", 2),
    ]
    assert len(failures) == 1 and len(results) == 5


def test_chosen_item():
    assert chosen(fake_report(4.0), None) == {"kid": 4.0}
    assert chosen(fake_report(4.0), "b") == {"kid": 9.0}
    with pytest.raises(ParamsError, match="a, b"):
        chosen(fake_report(4.0), "c")


def test_paired_difference_is_students():
    first, other = np.random.default_rng(0).normal(size=(2, 6))
    found = paired_difference(dict(enumerate(first)), dict(enumerate(other)))
    interval = stats.ttest_rel(other, first).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx((other - first).mean())
    assert paired_difference({0: 1.0, 1: 2.0}, {1: 5.0, 2: 7.0}).mean == 3.0
    assert paired_difference({0: 1.0}, {0: 2.0}).low is None
    assert paired_difference({0: 1.0}, {1: 2.0}) is None


def test_tables_and_figure(tmp_path):
    results = [
        Result(variant, seed, {"kid": base + 0.1 * seed, "fd": 3.0 * seed, "lid": float("nan")})
        for seed in range(3)
        for variant, base in (("k=none", 1.0), ("k=graph", 0.5))
    ]
    summary = summarise(results)
    assert summary.spreads["kid"]["k=none"].mean == pytest.approx(1.1)
    assert summary.spreads["kid"]["k=none"].sd == pytest.approx(0.1)
    assert summary.differences["kid"]["k=graph"].resolved
    assert not summary.differences["fd"]["k=graph"].resolved
    json.dumps(summary.as_dict(), allow_nan=False)
    console = Console(width=120, file=io.StringIO())
    print_tables(summary, console)
    text = console.file.getvalue()
    assert "1.1 ± 0.1 (n=3)" in text and "-0.5 [" in text and "]*" in text
    write_figure(summary, results, tmp_path / "figure.png")
    assert np.asarray(Image.open(tmp_path / "figure.png")).std() > 5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_through_real_dvc(tmp_path, dvc_cache):
    clone = Clone(
        tmp_path / "clone",
        dvc_cache,
        cluster={"num_workers": 0},
        ema={"lengths": [0.1]},
        train={"lr_ramp_kimg": 0.1, "total_kimg": 0.256},
        tracking={"enabled": False},
    )
    before = (clone.folder / "params.yaml").read_text()
    words = ("python", "-m", "pipelines.replicate", "-S", "train.lr=0.01")
    out = clone.run(*words, "--seeds", "1")
    assert "seed 0, train.lr=0.01: running" in out and "n=1" in out
    out = clone.run(*words, "--seeds", "2")
    assert "seed 0, train.lr=0.01: done already" in out
    assert "seed 1, train.lr=0.01: running" in out and "n=2" in out
    summary = json.loads((clone.folder / "reports/replicate/summary.json").read_text())
    kid = summary["spreads"]["kid"]["train.lr=0.01"]
    assert kid["n"] == 2 and kid["sd"] > 0, "seeds give different results"
    assert (clone.folder / "reports/replicate/replicate.png").stat().st_size > 5000
    assert (clone.folder / "params.yaml").read_text() == before, "the workspace stays as it is"
    out = clone.run("python", "-m", "pipelines.replicate", "-S", "train.lrr=1", ok=False)
    assert "did you mean 'train.lr'?" in out and "Traceback" not in out
