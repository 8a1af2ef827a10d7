"""What killed writers leave is removed; what a living process may be writing stays."""

import os
import subprocess
import sys
import time

from foundation.unfinished_files import FOREIGN_AGE_S, sweep, unfinished_name

WRITE = """
import os, signal, sys
from foundation.atomic_files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(bytes(1000))
    print(temporary.name, flush=True)
    sys.stdin.read()
"""


def test_a_killed_writers_file_is_removed_and_a_living_ones_stays(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, str(tmp_path / "deep" / name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("killed", "living")
    ]
    killed, living = (writer.stdout.readline().strip() for writer in writers)
    writers[0].kill()
    writers[0].wait()
    try:
        assert sorted(os.listdir(tmp_path / "deep")) == sorted([killed, living])
        assert sweep(tmp_path) == 1000
        assert os.listdir(tmp_path / "deep") == [living]
    finally:
        writers[1].communicate(timeout=30)
    assert os.listdir(tmp_path / "deep") == ["living"]  # it came to its end unharmed


def test_another_machines_file_stays_until_it_is_old(tmp_path):
    own = unfinished_name(tmp_path / "a.npy").name
    other = own.replace(own.split(".")[3].split("-")[0], "0" * 12)
    nameless = ".a.npy.999999999-01234567.tmp"  # of before names told the machine
    for name in (own, other, nameless):
        (tmp_path / name).touch()
    assert other != own and sweep(tmp_path) == 0
    assert sorted(os.listdir(tmp_path)) == sorted([own, other, nameless])
    then = time.time() - FOREIGN_AGE_S - 60
    for name in (own, other, nameless):
        os.utime(tmp_path / name, (then, then))
    sweep(tmp_path)
    assert os.listdir(tmp_path) == [own]  # this process still lives


def test_files_of_other_names_stay(tmp_path):
    names = ["a.tmp", ".a.tmp", ".b.0123456789ab-x-01234567.tmp", "checkpoint.safetensors"]
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    sweep(tmp_path / "none")  # a folder that is not there
