"""Copies of runs: what is cut off leaves an earlier copy whole, and what is damaged is left out."""

import json
from pathlib import Path

import pytest

from pipelines.run_copies.copying import copy_of
from pipelines.run_copies.run_copy import FILES, MANIFEST, RunCopy
from pipelines.run_copies.stores import StorageError, open_store, probe
from training.state.writer_lock import WRITER_LOCK

CHECKPOINT = "checkpoints/checkpoint-{:012d}.safetensors"


@pytest.fixture
def run(tmp_path):
    """A folder with the files of a run at 2,000 images, and some that are no part of it."""
    folder = tmp_path / "train-abc"
    for name in (CHECKPOINT.format(1000), CHECKPOINT.format(2000), "identity.json"):
        put(folder, name, f"content of {name}")
    put(folder, "snapshots/000000001000-0.05.safetensors", "first")
    put(folder, "curves.jsonl", "1\n2\n")
    for name in (WRITER_LOCK, "leave", "checkpoints/.half.tmp", "checkpoints/c.damaged"):
        put(folder, name, "of this machine")
    return folder


def put(folder, name, text):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*.*")}


def elsewhere(run, address):
    """The copy of the run, and the folder that it has on another machine."""
    folder = run.parent / "other" / run.name
    return copy_of(folder, address), folder


OURS = (WRITER_LOCK, "checkpoints/.half.tmp", "checkpoints/c.damaged")


def test_another_machine_gets_the_run_and_nothing_else(run, address):
    assert copy_of(run, address).save() == 2000
    copy, folder = elsewhere(run, address)
    said = []
    assert copy.fetch(said.append)
    assert tree(folder) == {k: v for k, v in tree(run).items() if k not in OURS}
    assert not (folder / "leave").exists()
    assert "at 2 kimg from its copy" in said[0] and len(said) == 1
    assert not copy.fetch(said.append), "it has all of it"


def test_a_copy_follows_the_run_and_drops_what_it_no_longer_has(run, address):
    copy = copy_of(run, address)
    copy.save()
    (run / CHECKPOINT.format(1000)).unlink()
    put(run, CHECKPOINT.format(3000), "third")
    put(run, "curves.jsonl", "1\n2\n3\n")
    assert copy.save() == 3000
    other, folder = elsewhere(run, address)
    other.fetch(print)
    assert tree(folder) == {k: v for k, v in tree(run).items() if k not in OURS}
    store = open_store(address, run.name)
    assert len(store.sizes(FILES)) == len(json.loads(store.read(MANIFEST))["files"]) == 5


class Dies(Exception):
    """The machine is taken away."""


def dying(store, after):
    """The store, of which the machine dies at the call of this number that changes anything."""
    left = [after]

    class Mortal:
        def __getattr__(self, name):
            def call(*values):
                if name in ("put", "write", "remove"):
                    left[0] -= 1
                    if left[0] < 0:
                        raise Dies
                return getattr(store, name)(*values)

            return call

    return Mortal()


def test_wherever_it_is_cut_off_an_earlier_copy_stands_whole(run, tmp_path):
    address = str(tmp_path / "storage")
    copy_of(run, address).save()
    before = {k: v for k, v in tree(run).items() if k not in OURS}
    (run / CHECKPOINT.format(1000)).unlink()
    put(run, CHECKPOINT.format(3000), "third")
    put(run, "snapshots/000000003000-0.05.safetensors", "second")
    after = {k: v for k, v in tree(run).items() if k not in OURS}
    seen = []
    for cut in range(20):
        copy = RunCopy(dying(open_store(address, run.name), cut), run)
        try:
            copy.save()
        except Dies:
            ended = False
        else:
            ended = True
        other = RunCopy(open_store(address, run.name), tmp_path / f"other-{cut}")
        assert other.fetch(print)
        seen.append(tree(other.folder) == after)
        assert tree(other.folder) in (before, after)
        if ended:
            break
    assert ended and seen[0] is False and seen[-1] is True and seen == sorted(seen)


def test_files_that_go_while_they_are_copied_are_left_out(run, address, monkeypatch):
    copy = copy_of(run, address)
    store, put_there = copy.store, copy.store.put

    def vanishing(name, source):
        if source.name == Path(CHECKPOINT.format(1000)).name:
            source.unlink()
        put_there(name, source)

    monkeypatch.setattr(store, "put", vanishing)
    assert copy.save() == 2000
    other, folder = elsewhere(run, address)
    other.fetch(print)
    assert not (folder / CHECKPOINT.format(1000)).exists()
    assert (folder / CHECKPOINT.format(2000)).exists()


def test_lost_and_damaged_files_are_left_out_and_named(run, address):
    copy_of(run, address).save()
    store = open_store(address, run.name)
    files = json.loads(store.read(MANIFEST))["files"]
    snapshot, checkpoint = "snapshots/000000001000-0.05.safetensors", CHECKPOINT.format(2000)
    store.remove(f"{FILES}/{files[snapshot]['sha256']}")
    store.write(f"{FILES}/{files[checkpoint]['sha256']}", b"X" * files[checkpoint]["bytes"])
    copy, folder = elsewhere(run, address)
    said = []
    assert copy.fetch(said.append)
    assert not (folder / snapshot).exists() and not (folder / checkpoint).exists()
    assert (folder / CHECKPOINT.format(1000)).read_text() == tree(run)[CHECKPOINT.format(1000)]
    assert [line.split(" is lost")[0] for line in said[1:]] == [snapshot, checkpoint]


@pytest.mark.parametrize(
    "manifest", ["", "{}", '{"format": 1, "files": {}, "sha256": "0"}', "[1]", None]
)
def test_a_manifest_that_is_not_ours_is_refused(run, tmp_path, manifest):
    address = str(tmp_path / "storage")
    store = open_store(address, run.name)
    if manifest is None:  # whole, and it would write beside the run
        from foundation.json_hash import json_hash

        entry = {"sha256": "0" * 64, "bytes": 1}
        facts = {"format": 1, "files": {"../../x": entry, CHECKPOINT.format(1): entry}}
        manifest = json.dumps(facts | {"sha256": json_hash(facts)})
    store.write(MANIFEST, manifest.encode())
    copy, folder = elsewhere(run, address)
    with pytest.raises(StorageError, match=r"manifest\.json of the copy of run train-abc is dam"):
        copy.fetch(print)
    assert not folder.exists()


def test_a_run_that_is_further_or_finished_takes_nothing(run, address):
    copy = copy_of(run, address)
    copy.save()
    put(run, CHECKPOINT.format(3000), "third")
    before = tree(run)
    assert not copy.fetch(print)
    assert tree(run) == before
    other, folder = elsewhere(run, address)
    put(folder, "train.json", "{}")
    assert not other.fetch(print)


def test_a_copy_that_is_forgotten_is_gone(run, address):
    copy = copy_of(run, address)
    copy.save()
    copy.forget()
    other, folder = elsewhere(run, address)
    assert not other.fetch(print) and not folder.exists()
    assert open_store(address, run.name).sizes(FILES) == {}
    copy.forget()


def test_without_a_checkpoint_nothing_is_copied(tmp_path, address):
    put(tmp_path / "train-new", "identity.json", "{}")
    assert copy_of(tmp_path / "train-new", address).save() is None
    assert open_store(address, "train-new").read(MANIFEST) is None


def test_a_storage_that_works_is_left_as_it_was(address):
    probe(address)
    assert open_store(address, "probe").sizes("") == {}


def test_what_cannot_be_reached_is_one_line(tmp_path, s3_server):
    file = tmp_path / "file"
    file.write_text("")
    for address, told in (
        (str(file), "cluster.storage: .*file"),
        (f"s3://none/x?endpoint={s3_server}", r"s3://none/x/probe at http://127.*NO_SUCH_BUCKET"),
        ("s3://runs?endpoint=http://127.0.0.1:9", r"s3://runs/probe at http://127\.0\.0\.1:9: "),
    ):
        with pytest.raises(StorageError, match=told) as error:
            probe(address)
        assert "\n" not in str(error.value)
