"""Several seeds of students: items beside the denoiser's, what counts as trained, time."""

import io
import sys
from pathlib import Path

import pytest

from pipelines import replicate
from pipelines.console.terminal import terminal
from pipelines.params import check_params
from pipelines.replication.experiments import as_result, trained
from pipelines.replication.plan import check_item, plan
from pipelines.replication.report import print_tables, summarise
from pipelines.replication.time_left import told_by_runs
from pipelines.settings.dotted_keys import flatten, with_values
from pipelines.settings.yaml_file import ParamsError, read_yaml
from pipelines.workspace.fingerprint import student_params_hash, train_params_hash
from pipelines.workspace.wanted_runs import wanted

sys.path.insert(0, str(Path(__file__).parent))
from earlier_runs import Runs, child

RAW = with_values(
    read_yaml("presets/fashion_mnist_distil.yaml"),
    {"distil": ["matched"], "structure.kind": "none"},
)


def report(kid, student):
    """A reports/metrics.json whose denoiser and student have these KID."""
    items = {
        "0.1-heun": {"kid": {"value": kid, "floor": 0.01}, "recall": {"value": 0.9}},
        "matched-0.05-one": {
            "student": "matched",
            "kid": {"value": student, "floor": 0.01},
            "recall": {"value": 0.8},
        },
    }
    return {"best": {"item": "0.1-heun"}, "items": items}


def test_the_table_has_the_students_items_with_their_spread(capsys):
    experiments = plan(RAW, "2", ["students.matched.lr=0.001,0.01"])
    results = [
        as_result(e, report(0.02, 0.1 * (e.seed + 1) + e.values["students.matched.lr"]), None)
        for e in experiments
    ]
    summary = summarise(results)
    key = "kid of matched-0.05-one"
    first, other = summary.variants
    assert summary.spreads[key][first].mean == pytest.approx(0.151)
    assert summary.spreads[key][first].sd == pytest.approx(0.0707, abs=1e-4)
    assert summary.differences[key][other].mean == pytest.approx(0.009)
    assert summary.equal == [], "the denoiser is the same, its student is not"
    console = terminal(width=150, file=io.StringIO())
    print_tables(summary, console)
    (row, difference) = (
        line for line in console.file.getvalue().splitlines() if "KID of matched-0.05-one" in line
    )
    assert "0.151 ± 0.071 (n=2)" in row and "0.0100" in row and "0.009" in difference


def test_an_item_of_a_student_can_be_compared_in_full():
    experiments = plan(RAW, "1", [])
    check_item("matched-0.05-one", RAW, experiments)
    with pytest.raises(ParamsError, match=r"--item matched-0\.05-two: .*matched-0\.05-one"):
        check_item("matched-0.05-two", RAW, experiments)
    found = as_result(experiments[0], report(0.02, 0.1), "matched-0.05-one").metrics
    assert found == {"kid": 0.1, "recall": 0.8, "kid of matched-0.05-one": 0.1}


@pytest.mark.parametrize(
    ("lines", "whole"),
    [
        (["Running stage 'train':", "train: 8 kimg in this process, run ab12"], True),
        (["Running stage 'train':", "train: ab12 is finished: publishing it again"], False),
        (["Running stage 'train':", "resumed at 1.0 of 8.0 kimg"], False),
        (["Running stage 'distil':", "distil: quick: 0.5 kimg in this process, run ab12"], True),
        (["Running stage 'distil':", "distil: quick, run ab12, is finished: publishing it"], False),
        (["distil: quick: 0.5 kimg in this process, run ab12", "resumed at 0.1 of 0.5"], False),
        (["Running stage 'distil':", "distil: params list no student"], False),
    ],
)
def test_an_experiment_that_trains_students_alone_is_timed(lines, whole):
    assert trained(lines) == whole


def test_runs_of_students_are_kept_for_a_stopped_replicate(tmp_path, monkeypatch):
    def stop(experiment, raw, show):
        raise KeyboardInterrupt

    monkeypatch.setattr(replicate, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        replicate.run_all(plan(RAW, "2", []), RAW, tmp_path, None)
    params = [check_params(with_values(RAW, {"seed": seed})) for seed in (0, 1)]
    hashes = {student_params_hash(one, "matched") for one in params}
    assert len(hashes) == 2
    assert wanted(tmp_path).keys() == hashes | {train_params_hash(one) for one in params}


def test_an_earlier_run_tells_what_students_take():
    params = check_params(RAW)
    flat = {k: str(v) for k, v in flatten(params.model_dump(mode="json")).items()}
    own = len(params.ema.lengths) * len(params.samplers)
    made = [child("train", 999, 1000.0), child("evaluate", 10)]
    seconds, _ = told_by_runs(Runs(flat, *made, child("distil", 70, item="matched")), params)
    training = params.run_settings().total_nimg / 1000
    assert seconds == pytest.approx(training + 70 + (own + 2) * 10)
    other = child("distil", 70, item="consistent")
    assert told_by_runs(Runs(flat, *made, other), params) is None
