"""Several seeds: what is run, what is not run again, and the statistics."""

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from evaluation.paired_statistics import paired_difference
from pipelines import replicate
from pipelines.console.terminal import terminal
from pipelines.replicate import check_judging, run_all, write_results
from pipelines.replication.experiments import as_result, chosen, game_note
from pipelines.replication.plan import check_item, parse_option, parse_seeds, plan, plan_remarks
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


def test_a_control_is_no_game_that_never_played():
    control, game = plan(RAW, "1", ["structure.kind=none,graph"])
    report = fake_report(4.0) | {"train": {"structure_plays": 0}}
    assert as_result(control, report, None).game_note is None
    assert "before its first play" in as_result(game, report, None).game_note


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

    def run(experiment, raw, show):
        ran.append((experiment.variant, experiment.seed))
        if experiment.seed == 1 and "none" in experiment.variant:
            raise RuntimeError("no space left")
        return fake_report(experiment.seed), True

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
    assert chosen(fake_report(4.0), None, "floor") == {"kid": 0.0}


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (
            {"structure_plays": 5, "gate_open_fraction": 0.0, "gate_shut": {"x": 5}},
            r"5 plays \(x x5",
        ),
        ({"structure_plays": 0}, "ended before its first play"),
        ({"structure_plays": 5, "gate_open_fraction": 0.2, "gate_shut": {"x": 4}}, None),
        ({}, None),
    ],
)
def test_a_kept_report_tells_that_its_game_moved_nothing(train, told):
    found = game_note({"train": train})
    assert found is None if told is None else re.search(told, found)
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
    console = terminal(width=120, file=io.StringIO())
    print_tables(summary, console)
    text = console.file.getvalue()
    assert "1.1 ± 0.1 (n=3)" in text and "-0.5 [" in text and "]*" in text
    write_figure(summary, results, tmp_path / "figure.png")
    assert np.asarray(Image.open(tmp_path / "figure.png")).std() > 5


def test_variants_that_are_judged_by_other_images_are_refused_before_anything_runs(capsys):
    for option, key in (
        ("dataset.held_out=0.25,0.5", "dataset.held_out"),
        ("evaluation.num_images=64,512", "evaluation.num_images"),
    ):
        experiments = plan(RAW, "1", [option])
        with pytest.raises(ParamsError, match=rf"variants are not judged alike.*{key}.*--anyway"):
            check_judging(experiments, RAW, anyway=False)
        assert key in capsys.readouterr().out
        check_judging(experiments, RAW, anyway=True)
    for option in ("train.lr=0.1,0.2", "evaluation.batch_size=64,128"):
        check_judging(plan(RAW, "2", [option]), RAW, anyway=False)


def of_variant(variant, seed, kid, **others):
    return Result(variant, seed, {"kid": kid}, {"kid": 0.01}, **others)


def test_results_that_were_not_judged_alike_have_floors_and_no_differences(tmp_path, capsys):
    results = [
        of_variant(name, seed, 1.0 + seed, judged_by={"n": n})
        for seed in range(2)
        for name, n in (("a=1", 227), ("a=2", 50))
    ]
    with pytest.raises(ValueError, match=r"differ in n \(images on each side\)"):
        write_results(results, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    capsys.readouterr()
    write_results(results, tmp_path / "out", anyway=True)
    said = capsys.readouterr().out
    assert "paired difference" not in said and said.count("(0.0100)") == 2
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["differences"] == {"kid": {}}
    assert summary["judged_differently"] == [["n (images on each side)", "227", "50"]]


def test_a_game_that_moved_nothing_is_a_line_and_no_rows_of_zero():
    note = "the gate never opened in 5 plays (too few plays x5)"
    results = [
        of_variant(kind, seed, 0.5 + seed, game_note=note if kind == "k=graph" else None)
        for seed in range(2)
        for kind in ("k=none", "k=graph", "k=affinity")
    ]
    summary = summarise(results)
    console = terminal(width=80, file=io.StringIO())
    print_tables(summary, console)
    said = console.file.getvalue()
    assert f"k=graph (seed 0, 1): {note}" in said
    assert "k=affinity: equal to k=none in every digit" in said
    assert "paired difference" not in said and "+0" not in said
    # A single digit of a single seed makes it a comparison again.
    other = [*results[:-1], of_variant("k=affinity", 1, 1.6)]
    console = terminal(width=80, file=io.StringIO())
    print_tables(summarise(other), console)
    said = console.file.getvalue()
    assert "paired difference" in said and "k=affinity: equal" not in said


def test_a_game_that_cannot_open_its_gate_is_told_before_the_start():
    experiments = plan(RAW, "2", ["structure.kind=none,graph", "train.total_kimg=62"])
    (note,) = plan_remarks(RAW, experiments)
    assert note.startswith("structure.kind=graph train.total_kimg=62: structure: the game will")


def test_time_left_is_told_from_the_first_that_is_done(tmp_path, monkeypatch, capsys):
    clock = iter(np.arange(0.0, 1000.0, 60.0))  # read at the start and the end of each
    monkeypatch.setattr(replicate.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(
        replicate, "run", lambda experiment, raw, show: (fake_report(1.0), experiment.seed > 0)
    )
    run_all(plan(RAW, "3", ["train.lr=0.01"]), RAW, tmp_path, None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "replicate: 3 of 3 are to run: how long it takes is told when the first is done"
    )
    assert lines[2].endswith("done in 1:00; 2 to go")  # it came out of a cache, and tells nothing
    assert lines[4].endswith("done in 1:00; 1 to go, about 1:00 left")
    assert lines[6].endswith("done in 1:00")
    run_all(plan(RAW, "5", ["train.lr=0.01"]), RAW, tmp_path, None)
    assert "replicate: 2 of 5 are to run: about 2:00 in all" in capsys.readouterr().out


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
