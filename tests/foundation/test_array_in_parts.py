"""An array that is filled part by part, and what is left of it after a crash."""

import subprocess
import sys
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest

from foundation.array_in_parts import ArrayInParts

VALUES = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
PARTS = ((0, 4), (4, 8), (8, 10))


def filled(path, parts=PARTS):
    array = ArrayInParts(path, VALUES.shape)
    for start, stop in parts:
        array.write(start, VALUES[start:stop])
    return array


def test_the_file_is_what_numpy_writes(tmp_path):
    filled(tmp_path / "ours.npy", reversed(PARTS))
    np.save(tmp_path / "numpys.npy", VALUES)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()


def test_parts_are_read_back_by_another_process(tmp_path):
    filled(tmp_path / "a.npy", PARTS[:2])
    again = ArrayInParts(tmp_path / "a.npy", VALUES.shape)
    for start, stop in PARTS[:2]:
        np.testing.assert_array_equal(again.read(start, stop), VALUES[start:stop])
    assert again.read(8, 10) is None and again.read(0, 8) is None, "no part that was written"


def test_a_process_that_is_killed_loses_the_part_it_was_at(tmp_path):
    script = (
        "import os, signal, sys, numpy as np; from pathlib import Path\n"
        "import foundation.array_in_parts as module\n"
        "array = module.ArrayInParts(Path(sys.argv[1]), (10, 3))\n"
        "array.write(0, np.ones((4, 3)))\n"
        "module._to_disk = lambda stream: os.kill(os.getpid(), signal.SIGKILL)\n"
        "array.write(4, np.ones((4, 3)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.npy")])
    assert done.returncode == -9
    again = ArrayInParts(tmp_path / "a.npy", (10, 3))
    assert again.read(4, 8) is None
    np.testing.assert_array_equal(again.read(0, 4), np.ones((4, 3)))


def test_damage_anywhere_costs_the_parts_that_it_touches(tmp_path):
    path = tmp_path / "a.npy"
    filled(path)
    whole = path.read_bytes()
    for place in range(len(whole) - VALUES.nbytes, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        again, row = ArrayInParts(path, VALUES.shape), (place - len(whole) + VALUES.nbytes) // 12
        for start, stop in PARTS:
            assert (again.read(start, stop) is None) == (start <= row < stop), place
    path.write_bytes(whole[:-1])
    assert ArrayInParts(path, VALUES.shape).read(0, 4) is None, "a cut file is begun anew"


def test_a_damaged_list_costs_the_parts_it_names_no_more(tmp_path):
    path, listed = tmp_path / "a.npy", tmp_path / "a.npy.parts"
    filled(path)
    lines = listed.read_bytes()
    for end in range(0, len(lines), 9):
        listed.write_bytes(lines[:end] + b"\xff")
        again = ArrayInParts(path, VALUES.shape)
        for start, stop in PARTS:
            found = again.read(start, stop)
            assert found is None or (found == VALUES[start:stop]).all()
        again.write(8, VALUES[8:])  # after a line that was cut off
        assert ArrayInParts(path, VALUES.shape).read(8, 10) is not None, end
    for number in ("1e400", "Infinity", "NaN", "null"):
        listed.write_text(f'{{"start": {number}, "stop": 4, "sha256": "0"}}\n')
        assert ArrayInParts(path, VALUES.shape).read(0, 4) is None
    listed.unlink()
    assert ArrayInParts(path, VALUES.shape).read(0, 4) is None


@pytest.mark.parametrize("shape", [(10, 4), (11, 3), (5, 6)])
def test_another_shape_is_begun_anew(tmp_path, shape):
    filled(tmp_path / "a.npy")
    array = ArrayInParts(tmp_path / "a.npy", shape)
    assert all(array.read(start, stop) is None for start, stop in PARTS)
    assert np.load(tmp_path / "a.npy").shape == shape


def test_rows_that_are_no_part_are_refused(tmp_path):
    array = ArrayInParts(tmp_path / "a.npy", (10, 3))
    with pytest.raises(ValueError, match="not part of"):
        array.write(8, np.ones((3, 3)))
    with pytest.raises(ValueError, match="not part of"):
        array.write(0, np.ones((3, 4)))


def test_a_full_disk_loses_the_part_it_was_at(tmp_path):
    disks = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "small_disk.py")))
    whole = np.arange(300_000, dtype=np.float32).reshape(300, 1000)
    with disks.small_disk(tmp_path / "disk", 2) as disk:
        array = ArrayInParts(disk / "a.npy", whole.shape)
        array.write(0, whole[:100])
        filler = disks.fill(disk, 0)
        with pytest.raises(OSError, match="No space left"):
            array.write(100, whole[100:])
        filler.unlink()
        again = ArrayInParts(disk / "a.npy", whole.shape)
        assert np.array_equal(again.read(0, 100), whole[:100]) and again.read(100, 300) is None
        again.write(100, whole[100:])
        assert np.array_equal(np.load(disk / "a.npy"), whole)
