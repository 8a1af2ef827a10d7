import numpy as np
import pytest

from dataset.errors import DatasetError
from dataset.split import hash_split, image_hash


def hashes(count, start=0):
    return np.array([image_hash(f"image {i}".encode()) for i in range(start, start + count)], "u8")


@pytest.mark.parametrize("held_out", [0.05, 0.25, 0.5])
def test_share_is_as_asked(held_out):
    split = hash_split(hashes(4000), held_out)
    assert split.dtype == np.int8 and set(split.tolist()) == {0, 1}
    deviation = (held_out * (1 - held_out) / 4000) ** 0.5
    assert abs(split.mean() - held_out) < 4 * deviation


def test_adding_and_removing_images_moves_no_other():
    all_of_them = hash_split(hashes(300), 0.25)
    assert (hash_split(hashes(200), 0.25) == all_of_them[:200]).all()
    assert (hash_split(hashes(200, start=100), 0.25) == all_of_them[100:]).all()


def test_copies_stay_together_and_a_larger_share_keeps_the_smaller():
    twice = hash_split(np.tile(hashes(100), 2), 0.25)
    assert (twice[:100] == twice[100:]).all()
    assert (hash_split(hashes(100), 0.4) >= twice[:100]).all()


def test_too_few_images_are_refused_with_the_number_needed():
    with pytest.raises(DatasetError, match=r"3 images \(1 distinct\).*at least 3[0-9] distinct"):
        hash_split(np.tile(hashes(1), 3), 0.25)
    hash_split(hashes(40), 0.25)
