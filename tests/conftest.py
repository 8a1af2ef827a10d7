"""What every test shares."""

import os
import socket
import sys
from pathlib import Path

import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)
# An empty entry is the current folder. Tests change that, some to one with copies of the code,
# which a late import must not find.
sys.path[:] = [str(Path(__file__).parents[1]), *(path for path in sys.path if path)]


@pytest.fixture
def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def odd_variants():
    """odd_variants(value) yields plain data in which each part in turn is something odd."""
    odd = (None, [1], {}, "x", -1, 10**12, 0.5, True)

    def variants(value):
        yield from (other for other in odd if other != value)
        if not isinstance(value, dict | list):
            return
        for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
            without = dict(value) if isinstance(value, dict) else list(value)
            del without[key]
            yield without
            for other in variants(part):
                changed = dict(value) if isinstance(value, dict) else list(value)
                changed[key] = other
                yield changed

    return variants


def pytest_collection_modifyitems(items):
    """Put the files of slow tests first, so that two processes end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_make_parametrize_id(val):
    """Name bytes by their number: their content may differ between processes (time in gzip)."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
