import os
import socket

import pytest

from dataset.errors import DatasetError
from dataset.sources.huggingface import _decode_cell
from dataset.sources.idx import read_idx
from dataset.sources.regular_file import open_regular


def test_a_file_and_a_link_to_it_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    os.symlink("file", tmp_path / "link")
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"content"


def test_anything_else_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    cases = {tmp_path / "pipe": "pipe", tmp_path: "folder", tmp_path / "socket": "socket"}
    for path, kind in (cases | {"/dev/null": "device"}).items():
        with pytest.raises(OSError, match=f"not a regular file but a {kind}"):
            open_regular(path)


def test_no_source_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "train-images-idx3-ubyte.gz")
    with pytest.raises(DatasetError, match="a pipe"):
        read_idx(tmp_path / "train-images-idx3-ubyte.gz")
    with pytest.raises(ValueError, match="a pipe"):
        _decode_cell({"bytes": None, "path": str(tmp_path / "train-images-idx3-ubyte.gz")})
