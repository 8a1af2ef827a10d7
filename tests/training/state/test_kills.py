"""Trainings of every method are killed at random; benchmarks/kills.py is the long version."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_every_method_survives_kills_and_damaged_checkpoints():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kills", "--times", "5", "--no-results"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": 1 kills (") == 5 and done.stdout.count(" 0 faults") == 5
