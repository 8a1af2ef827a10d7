import gzip
import struct

import numpy as np
import pytest

from dataset.errors import DatasetError
from dataset.sources.idx import read_idx


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 4), dtype=np.uint8)


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz"])
def test_reads_what_was_written(tmp_path, name):
    data = idx(IMAGES)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    shape, entries = read_idx(tmp_path / name)
    assert shape == (5, 3, 4)
    assert [np.frombuffer(e, np.uint8).tolist() for e in entries] == IMAGES.reshape(5, -1).tolist()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("truncated", idx(IMAGES)[:-1]),
        ("header", idx(IMAGES)[:9]),
        ("foreign", b"\x89PNG" + bytes(100)),
        ("empty", b""),
        ("longer", idx(IMAGES) + b"x"),
        ("truncated.gz", gzip.compress(idx(IMAGES))[:-12]),
        ("no_gzip.gz", idx(IMAGES)),
        ("wrong_sum.gz", gzip.compress(idx(IMAGES))[:-8] + bytes(8)),
    ],
)
def test_damage_is_an_error_that_names_the_file(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DatasetError, match=f"{name} is damaged .*: delete it and fetch it again"):
        list(read_idx(tmp_path / name)[1])
