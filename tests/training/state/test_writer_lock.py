"""Two processes never write into one run's folder."""

import subprocess
import sys

import pytest

from foundation.file_lock import LockHeld, holder
from training.state.writer_lock import WRITER_LOCK, only_writer

HOLD = """
import pathlib, sys
from training.state.writer_lock import only_writer
with only_writer(pathlib.Path(sys.argv[1]), print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """A process that holds the lock of the folder `run`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_told_in_one_line_who_is_the_first(other, tmp_path):
    with (
        pytest.raises(LockHeld, match=rf"process {other.pid} on .* is training run run now: wait"),
        only_writer(tmp_path / "run", print, wait_s=0),
    ):
        pytest.fail("two writers")


def test_it_waits_for_a_process_that_ends_by_kill_9(other, tmp_path):
    said = []

    def kill(text):
        said.append(text)
        other.kill()

    with only_writer(tmp_path / "run", kill, wait_s=60):
        assert f"process {other.pid}" not in holder(tmp_path / "run" / WRITER_LOCK)
    assert len(said) == 1 and f"waiting for process {other.pid} on " in said[0]
    with only_writer(tmp_path / "run", pytest.fail):  # free again
        pass
