"""Files that appear whole or not at all."""

import os

import pytest

from foundation.atomic_files import copy_whole, replacing, write_text


def test_a_block_that_raises_leaves_what_was_there_and_no_litter(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        assert (tmp_path / "a.txt").read_text() == "old"
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_the_new_file_has_the_rights_of_any_file(tmp_path):
    (tmp_path / "other").touch()
    with replacing(tmp_path / "deep" / "a.txt") as temporary:
        temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600))
    rights = [(tmp_path / name).stat().st_mode for name in ("other", "deep/a.txt")]
    assert rights[0] == rights[1]


def test_two_writers_of_one_file_do_not_share_a_temporary_one(tmp_path):
    with replacing(tmp_path / "a") as one, replacing(tmp_path / "a") as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert (tmp_path / "a").read_text() == "1"


def test_a_copy_is_a_file_of_its_own(tmp_path):
    write_text(tmp_path / "a", "1")
    copy_whole(tmp_path / "a", tmp_path / "deep" / "b")
    (tmp_path / "a").write_text("2")
    assert (tmp_path / "deep" / "b").read_text() == "1"


def test_new_folders_are_flushed_with_their_parents(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr("foundation.atomic_files.sync_folder", flushed.append)
    write_text(tmp_path / "b" / "c" / "a.txt", "1")
    assert {tmp_path, tmp_path / "b", tmp_path / "b" / "c"} <= set(flushed)
