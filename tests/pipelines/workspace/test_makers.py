"""Runs of students beside those of denoisers: the same care, and their own commands."""

from pipelines.workspace.fingerprint import Identity
from pipelines.workspace.litter import sweep_up
from pipelines.workspace.makers import maker, runs
from pipelines.workspace.run_folder import offer_or_adopt

OLD = Identity("distil-quick_1", "params", "inputs", "old code")
NEW = Identity("distil-quick_1", "params", "inputs", "new code")
OTHER = Identity("distil-quick", "params", "inputs", "old code")
AUTOENCODER = Identity("autoencoder", "params", "inputs", "old code")


def test_a_run_names_the_commands_of_its_stage(tmp_path):
    assert maker("train-0123").anew == "TRAIN_FRESH=1 dvc repro -f train"
    made = maker(AUTOENCODER.folder(tmp_path).name)
    assert made.stage == "autoencoder"
    assert made.anew == "AUTOENCODER_FRESH=1 dvc repro -f autoencoder"
    made = maker(NEW.folder(tmp_path).name)
    assert made.stage == "distil" and made.anew == "DISTIL_FRESH=quick_1 dvc repro -f distil"
    assert made.adopting("01") == "DISTIL_ADOPT=01 dvc repro"


def test_an_unfinished_student_of_other_code_is_offered_to_itself_only(tmp_path, capsys):
    for identity in (OLD, OTHER):
        identity.save(identity.folder(tmp_path))
        (identity.folder(tmp_path) / "checkpoints").mkdir()
    offer_or_adopt(NEW, NEW.folder(tmp_path), None)
    told = capsys.readouterr().out
    assert f"distil: an unfinished run {OLD.fingerprint}" in told and OTHER.fingerprint not in told
    assert f"DISTIL_ADOPT={OLD.fingerprint} dvc repro" in told
    offer_or_adopt(NEW, NEW.folder(tmp_path), OLD.fingerprint)
    assert (NEW.folder(tmp_path) / "checkpoints").is_dir()


def test_runs_of_students_are_listed_with_those_of_denoisers(tmp_path):
    every = (OLD, NEW, OTHER, AUTOENCODER)
    for identity in every:
        identity.save(identity.folder(tmp_path))
    assert runs(tmp_path) == sorted(i.folder(tmp_path) for i in every)


def test_rays_folders_of_finished_runs_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (NEW.folder(tmp_path)).mkdir(parents=True)
    kept, *gone = (
        tmp_path / ".runs" / "ray" / f"{identity.folder(tmp_path).name}-{'0' * 12}"
        for identity in (NEW, OLD, AUTOENCODER)
    )
    for path in (kept, *gone):
        path.mkdir(parents=True)
    sweep_up(tmp_path)
    assert kept.is_dir() and not any(path.exists() for path in gone)
