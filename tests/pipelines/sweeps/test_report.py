"""What a sweep says at its end, on trials made by hand."""

import csv
import io
import json
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from pipelines.params import check_params
from pipelines.settings.yaml_file import ParamsError, read_yaml
from pipelines.sweep import fitting, sweep_facts
from pipelines.sweeps.announcement import announce
from pipelines.sweeps.record import BROKEN, FINISHED, STOPPED, Record, check_same_sweep
from pipelines.sweeps.report import (
    best_params,
    command,
    importance,
    outcome,
    position,
    ranked,
    write_report,
)
from pipelines.sweeps.space import Sweep, SweepConfig
from pipelines.tracking.live_run import StageRun

RAW = read_yaml("presets/digits.yaml")
SPACE = {
    "train.total_kimg": 36,
    "train.lr": {"loguniform": [0.001, 0.1]},
    "model.channels": {"choice": [16, 32]},
    "structure.k": {"int": [2, 9]},
}


@pytest.fixture
def sweep():
    return Sweep(SweepConfig.model_validate({"name": "s", "space": SPACE}), RAW)


def add(record, number, values, kids, error=None):
    """A trial that reports these KIDs at its rungs; the fourth is its end."""
    sample = {key: record.sweep.domains[key].sample_of(value) for key, value in values.items()}
    record.started(f"t{number}", sample)
    times = [*record.sweep.rungs, record.sweep.total_nimg]
    for nimg, kid in zip(times, kids, strict=False):
        record.rung(f"t{number}", {"nimg": nimg, "kid": kid, "fingerprint": "f", "pid": 3})
    return record.ended(f"t{number}", error)


@pytest.fixture
def record(sweep, tmp_path):
    """KID depends on lr alone; trials far from the best lr are stopped at the first rung."""
    record, pick = Record(sweep, tmp_path), np.random.default_rng(0)
    for number in range(24):
        lr = 0.01 if number == 0 else float(10 ** pick.uniform(-3, -1))
        first = 1 + abs(np.log10(lr / 0.03))
        values = {
            "train.lr": lr,
            "model.channels": int(pick.choice([16, 32])),
            "structure.k": int(pick.integers(2, 10)),
        }
        if number == 0:
            values |= {"model.channels": 32, "structure.k": 8}
        add(record, number, values, [first, first / 2, first / 4] if first < 1.5 else [first])
    add(record, 24, {"train.lr": 0.03, "model.channels": 16, "structure.k": 3}, [0.1], "it burnt")
    return record


def test_record_survives_its_process(sweep, record, tmp_path):
    again = Record(sweep, tmp_path)
    assert again.trials == record.trials and again.done() == 25
    states = [trial.status for trial in again.trials.values()]
    assert set(states) == {FINISHED, STOPPED, BROKEN} and states.count(BROKEN) == 1


def test_a_rung_told_twice_counts_once(sweep, tmp_path):
    record = Record(sweep, tmp_path)
    record.started("a", {"train.lr": 0.01, "model.channels": "16", "structure.k": 3})
    assert record.rung("a", {"nimg": 100, "kid": 1.0}) is not None
    assert record.rung("a", {"nimg": 100, "kid": 1.0}) is None
    sample = {"train.lr": 0.01, "model.channels": "16", "structure.k": 3}
    assert record.started("a", sample).number == 0 and record.trials["a"].nimg == 100
    assert record.started("a", sample | {"train.lr": 0.02}).nimg == 0, "another trial of that id"


def test_winner_is_the_best_of_those_trained_to_their_end(sweep, record):
    best = ranked(list(record.trials.values()), "kid", "min")[0]
    finished = [t for t in record.trials.values() if t.status == FINISHED]
    assert best.status == FINISHED
    assert best.last("kid") == min(t.last("kid") for t in finished)
    worst = ranked(list(record.trials.values()), "kid", "max")[0]
    assert worst.last("kid") == max(t.last("kid") for t in finished)


def test_importance_finds_the_key_that_decides(sweep, record):
    judged = [t for t in record.trials.values() if t.status != BROKEN]
    shares, why_not = importance(sweep, judged)
    assert shares["train.lr"] > 0.8 and sum(shares.values()) == pytest.approx(1) and not why_not
    assert importance(sweep, judged[:3]) == ({}, "it takes 4 judged trials, there are 3")


def test_files(sweep, record, tmp_path):
    written = write_report(sweep, record, tmp_path / "out")
    files = {path.name: path for path in written.files}
    assert written.missing == {}
    for name in ("parallel_coordinates.png", "importance.png"):
        assert np.asarray(Image.open(files[name])).std() > 5
    rows = list(csv.DictReader(io.StringIO(files["trials.csv"].read_text())))
    assert len(rows) == 25 and rows[-1]["error"] == "it burnt" and float(rows[0]["train.lr"])
    best = ranked(list(record.trials.values()), "kid", "min")[0]
    params = check_params(yaml.safe_load(files["best_params.yaml"].read_text()))
    assert params.train.lr == best.values["train.lr"] and params.train.total_kimg == 36
    words = shlex.split(files["command.txt"].read_text())
    assert words[:3] == ["dvc", "exp", "run"] and f"train.lr={best.values['train.lr']}" in words
    assert yaml.safe_load(best_params(sweep, best))["seed"] == RAW["seed"]
    assert command(sweep, best) in files["command.txt"].read_text()


def test_position_on_an_axis(sweep):
    assert position(sweep.domains["train.lr"], 0.01) == pytest.approx(0.5)
    assert position(sweep.domains["structure.k"], 9) == 1.0
    assert position(sweep.domains["model.channels"], 16) == 0.0


def test_a_second_sweep_of_the_same_name(tmp_path, capsys):
    first = {
        "sweep": {"trials": 4, "space": {"train.lr": {"uniform": [0, 1]}}},
        "code": "a",
        "params": {"blocks": [{"kind": "graph_conv", "k": 4}]},
    }
    assert not check_same_sweep(tmp_path, first, "sweep.yaml")
    assert check_same_sweep(tmp_path, first, "sweep.yaml")
    assert check_same_sweep(tmp_path, first | {"code": "b"}, "sweep.yaml")
    assert "code has changed" in capsys.readouterr().err
    other = json.loads(json.dumps(first))
    other["sweep"]["space"]["train.lr"]["uniform"] = [0, 2]
    with pytest.raises(ParamsError) as caught:
        check_same_sweep(tmp_path, other, "sweep.yaml")
    said = str(caught.value)
    assert "sweep.space.train.lr.uniform" in said and "another name" in said and "\n" not in said


def test_a_sweep_does_not_go_on_with_another_reference(tmp_path, sweep, monkeypatch):
    """Its trials could not be compared with the earlier ones."""
    monkeypatch.setattr("pipelines.sweep.REFERENCE", tmp_path)
    older = sweep_facts(sweep)
    manifest = {
        "protocol": {"extractor": "classifier", "weights_sha256": "a" * 64},
        "dataset_hash": "b" * 64,
        "num_train": 9,
    }
    file = tmp_path / "reference.json"
    file.write_text(json.dumps(manifest))
    before = sweep_facts(sweep)
    assert not check_same_sweep(tmp_path / "new", before, "sweep.yaml")
    assert check_same_sweep(tmp_path / "new", sweep_facts(sweep), "sweep.yaml")
    manifest["protocol"]["weights_sha256"] = "c" * 64
    file.write_text(json.dumps(manifest))
    with pytest.raises(
        ParamsError, match=r"differs in judged_by.weights_sha256 \(a+ there, c+ now"
    ):
        check_same_sweep(tmp_path / "new", sweep_facts(sweep), "sweep.yaml")
    assert not check_same_sweep(tmp_path / "old", older, "sweep.yaml")
    assert check_same_sweep(tmp_path / "old", before, "sweep.yaml")  # which said nothing of it


@pytest.mark.parametrize(
    ("resources", "workers", "have", "fit"),
    [
        ({"cpu": 1}, 1, {"CPU": 2}, 2),
        ({"cpu": 2}, 0, {"CPU": 3}, 1),
        ({"cpu": 1, "gpu": 0.5}, 1, {"CPU": 16, "GPU": 1}, 2),
        ({"cpu": 1, "gpu": 1}, 2, {"CPU": 16, "GPU": 4}, 2),
        ({"cpu": 4}, 1, {"CPU": 2}, "4 CPU"),
        ({"cpu": 1, "gpu": 0.3}, 1, {"CPU": 2}, "0.3 GPU"),
    ],
)
def test_how_many_trials_fit(resources, workers, have, fit):
    settings = {
        "name": "s",
        "space": SPACE,
        "resources": {"gpu": 0.0} | resources,
        "workers": workers,
        "max_concurrent": 4,
    }
    made = SimpleNamespace(config=SweepConfig.model_validate(settings), where="sweep.yaml")
    if isinstance(fit, int):
        assert fitting(made, have) == fit
    else:
        with pytest.raises(RuntimeError, match=fit):
            fitting(made, have)


@pytest.fixture
def density(tmp_path):
    """Trials of a sweep for density whose values lie above, at and below a floor of 0.9."""
    sweep = Sweep(
        SweepConfig.model_validate({"name": "s", "metric": "density", "space": SPACE}), RAW
    )
    record = Record(sweep, tmp_path)
    for number, value in enumerate((1.6, 0.95, 0.6)):
        values = {"train.lr": 0.01 + 0.01 * number, "model.channels": 16, "structure.k": 3}
        sample = {key: sweep.domains[key].sample_of(value) for key, value in values.items()}
        record.started(f"t{number}", sample)
        for nimg in (*sweep.rungs, sweep.total_nimg):
            distance = {"density_from_floor": abs(value - 0.9)}
            record.rung(f"t{number}", {"nimg": nimg, "kid": 1.0, "density": value, **distance})
        record.ended(f"t{number}")
    return record


def test_a_sweep_cannot_reward_density_above_its_floor(density, tmp_path, capsys):
    sweep = density.sweep
    order = [t.number for t in ranked(list(density.trials.values()), sweep.objective, sweep.mode)]
    assert order == [1, 2, 0], "the closest to the floor first, not the densest"
    assert outcome(sweep, density.trials["t1"]) == "density 0.95 (0.05 from its floor)"
    written = write_report(sweep, density, tmp_path / "out")
    files = {path.name: path for path in written.files}
    assert "density 0.95 (0.05 from its floor)" in files["best_params.yaml"].read_text()
    rows = list(csv.DictReader(io.StringIO(files["trials.csv"].read_text())))
    assert [row["density"] for row in rows] == ["0.95", "0.6", "1.6"]
    assert float(rows[0]["density_from_floor"]) == pytest.approx(0.05)
    announce(sweep, density, tmp_path, written, StageRun())
    out = capsys.readouterr().out
    assert "importance.png is not there: it takes 4 judged trials, there are 3" in out
    assert "from its floor" in out and "best: trial 1, density 0.95 (0.05 from its floor)" in out


def test_fewer_trials_than_asked_for_are_counted(sweep, tmp_path):
    record = Record(sweep, tmp_path)
    assert sweep.config.trials == 16
    values = {"train.lr": 0.01, "model.channels": 16, "structure.k": 3}
    add(record, 0, values, [1.0])
    record.started("t1", {key: sweep.domains[key].sample_of(v) for key, v in values.items()})
    said = record.shortfall()
    assert "1 of 16 trials over; 1 never came to an end; 14 never begun" in said
    assert "--fresh" in said and "\n" not in said


def test_a_sweep_that_was_begun_for_more_density_is_not_continued(density, tmp_path):
    """Tune's state on disk would go on to maximise it."""
    now = sweep_facts(density.sweep)
    before = {key: value for key, value in now.items() if key != "objective"}
    assert not check_same_sweep(tmp_path, before, "sweep.yaml")
    with pytest.raises(
        ParamsError, match=r"differs in objective \(- there, density_from_floor now"
    ):
        check_same_sweep(tmp_path, now, "sweep.yaml")


def test_a_sweep_for_a_low_metric_has_the_facts_that_it_had(sweep):
    assert sweep_facts(sweep).keys() == {"sweep", "params", "data", "code"}
