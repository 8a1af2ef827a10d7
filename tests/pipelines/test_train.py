"""The train stage's own business: locks, adoption, publishing, starting anew."""

import json
import os
from pathlib import Path

import pytest

import pipelines.train
from dataset.prepare import prepare_dataset
from models.extractors.load import ExtractorError
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml
from pipelines.tracking.live_run import StageRun
from pipelines.workspace.fingerprint import Identity
from pipelines.workspace.paths import DATASET
from pipelines.workspace.run_folder import RunInUse, locked, offer_or_adopt
from training.state.writer_lock import only_writer

PARAMS = Path(__file__).parents[2] / "params.yaml"
NEW = Identity("train", "params", "inputs", "new code")
OLD = Identity("train", "params", "inputs", "old code")


def unfinished(root, identity=OLD):
    folder = identity.folder(root)
    identity.save(folder)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "x").write_text("state")
    return folder


def test_an_unfinished_run_of_other_code_is_pointed_out(tmp_path, capsys):
    unfinished(tmp_path)
    offer_or_adopt(NEW, NEW.folder(tmp_path), None)
    assert f"TRAIN_ADOPT={OLD.fingerprint} dvc repro" in capsys.readouterr().out
    assert not NEW.folder(tmp_path).exists()


def test_a_note_that_was_cut_off_stops_no_other_run(tmp_path, capsys):
    OLD.save(OLD.folder(tmp_path))
    (OLD.folder(tmp_path) / "identity.json").write_text("")
    offer_or_adopt(NEW, NEW.folder(tmp_path), None)
    assert capsys.readouterr().out == ""


def test_adoption_carries_the_state_over(tmp_path, capsys):
    unfinished(tmp_path)
    offer_or_adopt(NEW, NEW.folder(tmp_path), OLD.fingerprint)
    assert (NEW.folder(tmp_path) / "checkpoints" / "x").read_text() == "state"
    facts = json.loads((NEW.folder(tmp_path) / "identity.json").read_text())
    assert facts["fingerprint"] == NEW.fingerprint and not OLD.folder(tmp_path).exists()


@pytest.mark.parametrize(
    "other",
    [
        Identity("train", "other params", "inputs", "old code"),
        Identity("train", "params", "other inputs", "old code"),
    ],
)
def test_runs_of_other_params_or_data_are_never_adopted(tmp_path, capsys, other):
    unfinished(tmp_path, other)
    offer_or_adopt(NEW, NEW.folder(tmp_path), None)
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="no unfinished run of that fingerprint"):
        offer_or_adopt(NEW, NEW.folder(tmp_path), other.fingerprint)


def test_a_run_that_is_being_trained_is_neither_offered_nor_adopted(tmp_path, capsys):
    unfinished(tmp_path)
    with locked(OLD.folder(tmp_path)):
        offer_or_adopt(NEW, NEW.folder(tmp_path), None)
        assert capsys.readouterr().out == ""
        in_use = rf"^--adopt {OLD.fingerprint}: another process is training .* stop it first$"
        with pytest.raises(RunInUse, match=in_use):
            offer_or_adopt(NEW, NEW.folder(tmp_path), OLD.fingerprint)
        assert (OLD.folder(tmp_path) / "checkpoints" / "x").exists()
        assert not NEW.folder(tmp_path).exists()
    offer_or_adopt(NEW, NEW.folder(tmp_path), OLD.fingerprint)  # once it has stopped
    assert (NEW.folder(tmp_path) / "checkpoints" / "x").exists()


def test_an_adopted_run_is_locked_while_it_moves(tmp_path, monkeypatch):
    """A start of the old code in that moment finds the run in use, instead of half of it."""
    unfinished(tmp_path)
    told = []

    def rename(source, target):
        with pytest.raises(RunInUse), locked(source):
            pass
        told.append(source)
        os.rename(source, target)

    monkeypatch.setattr(Path, "rename", rename)
    offer_or_adopt(NEW, NEW.folder(tmp_path), OLD.fingerprint)
    assert told == [OLD.folder(tmp_path)]


def test_a_finished_run_is_not_offered(tmp_path, capsys):
    (unfinished(tmp_path) / "train.json").write_text("{}")
    offer_or_adopt(NEW, NEW.folder(tmp_path), None)
    assert capsys.readouterr().out == ""


def test_one_process_per_run(tmp_path):
    folder = NEW.folder(tmp_path)
    with (
        locked(folder),
        pytest.raises(RuntimeError, match="another process is training"),
        locked(folder),
    ):
        pass
    with locked(folder):  # free again
        pass


def test_a_start_waits_for_workers_that_outlived_their_driver(tmp_path, capsys):
    """For seconds after SIGKILL of the driver its workers wrote on, while the lock was free."""
    folder = NEW.folder(tmp_path)
    with only_writer(folder, print):  # as rank 0 of a training does, in a process of its own
        with (
            pytest.raises(
                RunInUse, match=rf"training run {folder.name} now \(process {os.getpid()} on"
            ),
            locked(folder),
        ):
            pass
        assert capsys.readouterr().out == ""
        with pytest.raises(RunInUse), locked(folder, 0.2):
            pass
        assert f"train: waiting for process {os.getpid()} on " in capsys.readouterr().out
    with locked(folder, 0.2), only_writer(folder, pytest.fail, wait_s=0):
        pass  # the driver's own rank 0 gets the lock


def test_missing_weights_of_psi_are_told_before_any_worker_starts(tmp_path, monkeypatch):
    chosen = {"structure.features": "efficientnet_lite0", "evaluation.extractor": "classifier"}
    params = check_params(with_values(read_yaml(PARAMS), chosen))

    def missing(name):
        raise ExtractorError(f"{name} needs a package that is not installed")

    monkeypatch.chdir(tmp_path)
    prepare_dataset(params.dataset, DATASET)
    monkeypatch.setattr("training.structure.features.load_extractor", missing)
    monkeypatch.setattr(pipelines.train, "grid_cache", lambda: tmp_path)
    monkeypatch.setattr(
        "pipelines.stages.training_run.run_training", lambda *_: pytest.fail("workers started")
    )
    with pytest.raises(ValueError, match="not installed"):
        pipelines.train._train(params, tmp_path / "run", StageRun())
