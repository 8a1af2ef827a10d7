"""The study in the small: units are rows, rows that stand are kept, a stopped unit goes on."""

import json

import pytest
import yaml

import training.loop
from dataset.store import ImageDataset
from pipelines.params import load_params
from pipelines.settings.yaml_file import read_yaml
from studies.convergence.__main__ import main
from studies.convergence.arms import ARMS, QUESTIONS
from studies.convergence.report import sooner_than
from studies.convergence.unit import Given, held_out_halves, unit, unit_settings
from training.events import CheckpointSaved


@pytest.fixture
def small(tmp_path):
    raw = read_yaml("presets/digits.yaml")
    raw["model"] |= {"channels": 8, "attention_resolutions": [], "structural_blocks": []}
    raw["train"] |= {"batch_size": 16, "lr_ramp_kimg": 0.0}
    raw["evaluation"] |= {"kid_subsets": 2, "kid_subset_size": 12, "floor_draws": 2}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def words(material, small, tmp_path, *more):
    return [
        *("--params", str(small), "--dataset", str(material.dataset)),
        *("--reference", str(material.reference), "--work", str(tmp_path / "work")),
        *("--rows", str(tmp_path / "rows"), "--kimg", "0.8", "--held-out", "32"),
        *("--seeds", "20", *more),
    ]


def test_units_are_rows_with_a_time_and_a_loss_at_each_snapshot(
    material, small, tmp_path, capsys, monkeypatch
):
    command = words(material, small, tmp_path, "--arms", "log_normal,muon", "--images", "16")
    main(command)
    told = capsys.readouterr().out
    assert "**Which optimiser**" in told and "| muon | 0.1 | 0.8 | 1 |" in told
    rows = {p.stem: json.loads(p.read_text()) for p in (tmp_path / "rows").glob("*.json")}
    assert set(rows) == {"log_normal-20-0.8-0.01", "muon-20-0.8-0.1"}
    for row in rows.values():
        nimgs, seconds = ([p[key] for p in row["points"]] for key in ("nimg", "seconds"))
        assert len(nimgs) == 25 and nimgs[-1] == 800 and nimgs == sorted(nimgs)
        assert seconds[0] > 0 and seconds == sorted(seconds)
        assert row["points"][-1]["loss"] < row["points"][0]["loss"]
        assert sum("metrics" in p for p in row["points"]) == 4
    monkeypatch.setattr("studies.convergence.unit.train", lambda *_: pytest.fail("trained again"))
    main([*command, "--picture", str(tmp_path / "curves.png")])
    assert (tmp_path / "curves.png").stat().st_size > 5_000


def test_a_stopped_unit_goes_on_and_counts_no_second_twice(material, small, tmp_path, monkeypatch):
    given = Given(
        load_params(small),
        material.dataset,
        material.reference,
        tmp_path / "work",
        tmp_path / "rows",
        0.8,
        0,
        32,
    )
    arm, clock = ARMS["log_normal"], iter(range(10_000))
    monkeypatch.setattr("studies.convergence.unit.time.process_time", lambda: float(next(clock)))
    real = training.loop.train

    def stopping(settings, dataset, folder, world, report):
        def stop(event):
            report(event)
            if isinstance(event, CheckpointSaved) and event.nimg == 400:
                raise KeyboardInterrupt

        settings = settings.model_copy(update={"checkpoint_every_s": 0.0})
        return real(settings, dataset, folder, world, stop)

    monkeypatch.setattr("studies.convergence.unit.train", stopping)
    with pytest.raises(KeyboardInterrupt):
        unit(given, "log_normal", arm, 20)
    assert not list((tmp_path / "rows").glob("*"))
    monkeypatch.setattr("studies.convergence.unit.train", real)
    row = unit(given, "log_normal", arm, 20)
    seconds = [point["seconds"] for point in row["points"]]
    assert seconds == sorted(seconds) and len(set(seconds)) == 25
    assert sooner_than([(row, row)], "nimg").mean == 1.0


def test_every_arm_is_measured_at_the_levels_of_the_same_law(material, small):
    given = Given(
        load_params(small),
        material.dataset,
        material.reference,
        small.parent,
        small.parent,
        0.8,
        0,
        32,
        material.weights,
    )
    dataset = ImageDataset(material.dataset)
    first, second = held_out_halves(material.weights, dataset, given)
    assert first > 0 and second > 0 and first != second
    assert (first, second) == held_out_halves(material.weights, dataset, given)
    for name, arm in ARMS.items():
        settings = unit_settings(given, arm, 3)
        assert settings.structure.kind == "none" and settings.model.adapter_rank == 0
        assert arm.control in ARMS and any(name in arms for arms in QUESTIONS.values())
        for section, changes in arm.changes.items():
            told = getattr(settings, section).model_dump(mode="json")
            wanted = json.loads(json.dumps(changes))
            assert all(told[key] == value for key, value in wanted.items() if key != "sampler")


def test_arms_of_transfer_begin_with_the_source(material, small, tmp_path, capsys):
    names = "transfer,transfer_gains"
    command = words(material, small, tmp_path, "--arms", names, "--images", "0", "--kimg", "0.4")
    main([*command, "--source", str(material.weights)])
    assert "**Where the weights begin**" in capsys.readouterr().out
    rows = [json.loads(p.read_text()) for p in (tmp_path / "rows").glob("*.json")]
    assert len({row["fingerprint"] for row in rows}) == 2
    assert {row["arm"] for row in rows} == set(names.split(","))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--arms", "moun"], "moun"),
        (["--kimg", "0"], "--kimg"),
        (["--images", "3"], "--images"),
        (["--held-out", "1"], "--held-out"),
        (["--arms", "transfer"], "--source"),
    ],
)
def test_bad_arguments_end_in_one_line(material, small, tmp_path, capsys, more, message):
    with pytest.raises(SystemExit):
        main(words(material, small, tmp_path, *more))
    assert message in capsys.readouterr().err.splitlines()[-1]
