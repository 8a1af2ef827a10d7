"""Files of a pipeline that a disk cuts off, changes by one bit or loses, and a disk that is full.

The stage that reads such a file next says in one line which it is and how to mend it, and never
computes with it. The command that it names makes the same bytes again.
"""

import math
import os
import shutil
from itertools import product
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from pipelines.stages.whole_folders import LIST, DamagedResult, check_whole, finish_folder

tiny = SimpleNamespace(**run_path(str(Path(__file__).with_name("tiny_run.py"))))

disks = SimpleNamespace(**run_path(str(Path(__file__).parents[2] / "small_disk.py")))

HOW = ("cut", "bit", "gone")
READERS = {
    "dataset": ("reference", "train", "evaluate", "summarize"),
    "reference": ("evaluate", "summarize"),
    "train": ("reconstruct",),
    "ema": ("evaluate", "summarize"),
    "evaluate": ("summarize",),
}
"""{folder of outputs/: stages that read all of it}"""
MAKER = {"dataset": "prepare", "reference": "reference", "train": "train", "ema": "reconstruct"}
MAKER |= {"evaluate": "evaluate"}


def damage(path, how):
    if how == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif how == "bit":
        content = bytearray(path.read_bytes())
        content[len(content) * 3 // 4] ^= 1
        path.write_bytes(content)
    else:
        path.unlink()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which all stages have run."""
    folder = tmp_path_factory.mktemp("made")
    tiny.set_up(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert [tiny.run(stage) for stage in tiny.STAGES] == [""] * len(tiny.STAGES)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A copy of it, the current folder."""
    shutil.copytree(made, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("folder", READERS)
def test_the_next_stage_names_the_file_and_the_mend(made, here, capfd, folder):
    files = [file for file in sorted((here / "outputs" / folder).rglob("[!.]*")) if file.is_file()]
    assert len(files) > 2
    readers = READERS[folder]
    for number, (file, how) in enumerate(product(files, HOW)):
        reader = readers[-1 if file.name == "reconstruct.json" else number % len(readers)]
        whole = file.read_bytes()
        before = tiny.content(here / "outputs")
        damage(file, how)
        said = tiny.run(reader)
        name = file.relative_to(here).as_posix()
        assert name in said or (how == "gone" and Path(name).parent.as_posix() in said), said
        assert MAKER[folder] in said and "error: " in said and "\n" not in said
        assert "Traceback" not in capfd.readouterr().err
        file.write_bytes(whole)
        assert tiny.content(here / "outputs") == before, "the other results are left"
    assert tiny.content(here / "reports") == tiny.content(made / "reports")


def test_the_command_that_is_named_makes_the_same_bytes_again(made, here):
    for folder, stage in MAKER.items():
        for number, file in enumerate(sorted((here / "outputs" / folder).rglob("[!.]*"))):
            if file.is_file():
                damage(file, HOW[number % 3])
        assert tiny.run(stage) == ""
        before = tiny.content(made / "outputs" / folder)
        assert tiny.content(here / "outputs" / folder) == before, folder
    assert tiny.run("summarize") == ""
    assert tiny.content(here / "reports") == tiny.content(made / "reports")


def test_damage_to_the_list_of_hashes_makes_no_whole_file_a_damaged_one(made, here):
    for how in HOW:
        for list_of in sorted(here.glob(f"outputs/*/{LIST}")):
            shutil.copy(made / list_of.relative_to(here), list_of)
            damage(list_of, how)
        assert tiny.run("reconstruct") == ""
        assert tiny.content(here / "outputs/ema") == tiny.content(made / "outputs/ema")


def test_a_run_goes_on_to_the_same_bytes_from_before_what_is_damaged(made, here):
    """Nothing is whole of the newest checkpoint, and of the run's end, here and in outputs."""
    (run,) = (path for path in here.glob(".runs/train-*") if path.is_dir())
    for name, how in {"train.json": "cut", "curves.csv": "bit", "files.json": "gone"}.items():
        damage(run / name, how)
    damage(sorted(run.glob("checkpoints/*"))[-1], "bit")
    shutil.rmtree(here / "outputs/train")
    assert tiny.run("train") == ""
    assert tiny.content(here / "outputs/train") == tiny.content(made / "outputs/train")


@pytest.mark.parametrize("link", [os.link, lambda kept, name: os.symlink(kept.resolve(), name)])
def test_damage_that_the_cache_shares_is_removed_there_first(tmp_path, monkeypatch, link):
    """DVC would put its damaged copy in the place of what the stage has made again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    folder, kept = Path("outputs/dataset"), Path(".dvc/cache/files/md5/15/986a")
    for path in (kept, kept.with_name("other"), folder / "labels.npy"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode() * 9)
    link(kept, folder / "images.npy")
    finish_folder(folder)
    check_whole(folder)
    damage(kept, "bit")
    with pytest.raises(DamagedResult, match=r"images\.npy is damaged") as error:
        check_whole(folder)
    assert f": rm -f {kept.resolve()}  frees" in str(error.value)
    damage(folder / "labels.npy", "cut")
    with pytest.raises(DamagedResult, match="by hand: dvc repro -f prepare  makes it again"):
        check_whole(folder, {"labels.npy"})
    with pytest.raises(DamagedResult, match="make it again where it was made, or copy it anew"):
        check_whole(folder.absolute(), {"labels.npy"})


PAGE = 4096
"""Bytes; the small disk gives each file whole pages."""
WRITTEN = ("samples.png", "real.png", "nearest.png", "metrics.json")


@pytest.mark.parametrize("last", ["samples.png", "metrics.json"])
def test_a_disk_that_is_full_while_images_are_judged(made, tmp_path, monkeypatch, capfd, last):
    """There is room for what is written before the file `last`, and for nothing else."""
    whole = made / "outputs/evaluate" / tiny.ITEM
    before = WRITTEN[: WRITTEN.index(last)]
    room = PAGE * sum(math.ceil((whole / name).stat().st_size / PAGE) for name in before)
    no_run = shutil.ignore_patterns("checkpoints", "snapshots", tiny.ITEM)
    with disks.small_disk(tmp_path / "disk", 6) as disk:
        here, item = disk / "here", disk / "here/outputs/evaluate" / tiny.ITEM
        shutil.copytree(made, here, symlinks=True, ignore=no_run)
        monkeypatch.chdir(here)
        filler = disks.fill(disk, room)
        said = tiny.run("evaluate")
        file = f"outputs/evaluate/{tiny.ITEM}/{last}"
        assert f"No space left on device: '{file}': make room" in said and "\n" not in said
        assert "Traceback" not in capfd.readouterr().err
        assert not list(here.rglob("*.tmp"))
        assert sorted(tiny.content(item)) == sorted(before)
        assert "metrics.json is missing" in tiny.run("summarize"), "nothing looks finished"
        filler.unlink()
        assert tiny.run("evaluate") == ""
        assert tiny.content(item) == tiny.content(whole)
