"""Storages for copies of runs."""

import pytest


@pytest.fixture(params=["folder", "bucket"])
def address(request, tmp_path):
    """cluster.storage: a folder, or a place in a bucket that no other test has."""
    if request.param == "folder":
        return str(tmp_path / "storage")
    server = request.getfixturevalue("s3_server")
    return f"s3://runs/{tmp_path.name}?endpoint={server}"
