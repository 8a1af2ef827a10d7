import numpy as np
import pytest

from dataset.npy_stream import NpyStream


@pytest.mark.parametrize("length", [1, 7, 1000])
@pytest.mark.parametrize("shape", [(8, 8, 1), (2, 3, 3)])
def test_is_what_numpy_would_have_saved(tmp_path, length, shape):
    items = np.random.default_rng(0).integers(0, 256, (length, *shape), dtype=np.uint8)
    with NpyStream(tmp_path / "a.npy") as stream:
        for item in items:
            assert stream.append(item) == item.tobytes()
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
    assert mapped.shape == items.shape and (mapped == items).all()
    np.save(tmp_path / "b.npy", items)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_unfinished_file_does_not_pass_for_a_short_one(tmp_path):
    with pytest.raises(KeyboardInterrupt), NpyStream(tmp_path / "a.npy") as stream:
        stream.append(np.zeros((2, 2, 1), dtype=np.uint8))
        raise KeyboardInterrupt
    with pytest.raises((ValueError, OSError)):
        np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
