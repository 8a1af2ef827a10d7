"""A finished run whose files get lost: what is put back, what is made again, what is said."""

import json
import os
import shutil

import pytest
import torch

from models.ema_reconstruction import snapshot_name
from models.weights import save_weights
from pipelines.workspace.finished_run import RunIncomplete, check_snapshots, look_over, seal
from pipelines.workspace.run_folder import publish

TIMES, LENGTHS = (32, 64), (0.05, 0.1)
LAST = f"snapshots/{snapshot_name(64, 0.1)}"
FILES = {
    f"snapshots/{snapshot_name(nimg, length)}"[: -len(".safetensors")] + end
    for nimg in TIMES
    for length in LENGTHS
    for end in (".safetensors", ".json")
} | {"train.json", "curves.csv"}


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run, with a checkpoint."""
    folder = tmp_path / "run"
    for nimg in TIMES:
        for length in LENGTHS:
            path = folder / "snapshots" / snapshot_name(nimg, length)
            save_weights(path, {"w": torch.full((3,), nimg * length)}, {"constants": []})
    (folder / "snapshots" / ".half.tmp").touch()
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "checkpoint-000000000064.safetensors").touch()
    (folder / "curves.csv").write_text("nimg,loss\n64,0.5\n")
    (folder / "train.json").write_text(json.dumps({"snapshots": TIMES}))
    return folder


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes(content)


def names(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_publish_replaces_what_lay_there_by_copies(run, tmp_path):
    out = tmp_path / "out"
    (out / "snapshots").mkdir(parents=True)
    (out / "snapshots" / "stale.safetensors").write_text("old")
    publish(run, out)
    assert names(out) == FILES
    for name in FILES:
        assert (out / name).read_bytes() == (run / name).read_bytes()
        assert os.stat(out / name).st_ino != os.stat(run / name).st_ino  # two copies on the disk


@pytest.mark.parametrize("spoil", [flip, os.unlink])
@pytest.mark.parametrize("name", sorted(FILES))
def test_a_lost_or_damaged_file_is_taken_from_the_copies(run, tmp_path, capsys, name, spoil):
    publish(run, tmp_path / "out")
    before = (run / name).read_bytes()
    spoil(run / name)
    assert look_over(run, tmp_path / "out")
    assert (run / name).read_bytes() == before
    assert name in (said := capsys.readouterr().out) and said.count("\n") == 1
    assert look_over(run, tmp_path / "out") and capsys.readouterr().out == ""


@pytest.mark.parametrize("spoil", [flip, os.unlink])
@pytest.mark.parametrize("name", sorted(FILES - {"train.json"}))
def test_without_a_whole_copy_training_goes_on_from_its_checkpoint(
    run, tmp_path, capsys, name, spoil
):
    """It said "finished: publishing it again", and the stage after it "run train again"."""
    publish(run, tmp_path / "out")
    for folder in (run, tmp_path / "out"):
        spoil(folder / name)
    assert not look_over(run, tmp_path / "out")
    said = capsys.readouterr().out
    assert name in said and "going on from its checkpoints" in said and said.count("\n") == 1
    assert not (run / "train.json").exists()


def test_without_a_checkpoint_the_mend_is_named_and_nothing_removed(run, tmp_path):
    seal(run)
    shutil.rmtree(run / "checkpoints")
    (run / LAST).unlink()
    before = names(run)
    with pytest.raises(
        RunIncomplete, match=rf"{LAST} is missing, .*TRAIN_FRESH=1 dvc repro -f train"
    ):
        look_over(run, tmp_path / "out")
    assert names(run) == before


def test_a_run_of_before_the_hashes_is_checked_by_its_own_checksums(run, tmp_path, capsys):
    assert look_over(run, tmp_path / "out")
    flip(run / LAST)
    assert not look_over(run, tmp_path / "out")
    assert f"{LAST} is damaged" in capsys.readouterr().out


def test_damage_to_the_hashes_makes_no_whole_file_a_damaged_one(run, tmp_path, capsys):
    publish(run, tmp_path / "out")
    text = (run / "files.json").read_text()
    (run / "files.json").write_text(text.replace("a", "b"))
    assert look_over(run, tmp_path / "out") and capsys.readouterr().out == ""


def test_a_run_that_ended_without_a_snapshot_is_not_published(run, tmp_path):
    """A file that somebody removed while the training went on."""
    (run / LAST).unlink()
    with pytest.raises(RunIncomplete, match=f"{LAST} is missing"):
        publish(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("lost", ["one", "a time", "a length", "all", "train.json"])
def test_averages_are_never_made_of_fewer_snapshots_than_train_json_lists(run, lost):
    """Without the files of the last time the average was silently of an earlier one."""
    check_snapshots(run)
    pattern = {"one": "*64-0.1.json", "a time": "*64-*", "a length": "*-0.1.*", "all": "*"}
    for path in (run / "snapshots").glob(pattern.get(lost, "none")):
        path.unlink()
    if lost == "train.json":
        (run / lost).unlink()
    with pytest.raises(RunIncomplete, match="dvc repro -f train  puts it back"):
        check_snapshots(run)
