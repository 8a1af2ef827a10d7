"""A store of runs for the tests of a module."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from pipelines.tracking.connection import open_run_store

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("tracked_stages.py"))))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One store for the module; creating it takes seconds."""
    folder = tmp_path_factory.mktemp("root")
    open_run_store(runs.CONFIG, folder)
    return folder


@pytest.fixture
def client(root):
    return open_run_store(runs.CONFIG, root).client
