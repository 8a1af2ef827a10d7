"""Data sets with chosen shares."""

import numpy as np
import pytest

from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from studies.debias.data import evened, skewed, write_dataset


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare_dataset(DatasetConfig(), folder)
    return ImageDataset(folder)


def test_training_images_have_the_shares_and_held_out_ones_are_even(digits, tmp_path):
    rows, split = skewed(digits, {"3": 0.9, "7": 0.1}, 100, 30)
    out = write_dataset(digits, rows, split, tmp_path)
    train = np.bincount(out.labels[out.train_indices], minlength=10)
    held_out = np.bincount(out.labels[out.held_out_indices], minlength=10)
    assert train[[3, 7]].tolist() == [90, 10] and train.sum() == 100
    assert held_out[[3, 7]].tolist() == [30, 30] and held_out.sum() == 60
    assert out.group_names == digits.group_names
    assert len(set(rows.tolist())) == len(rows)
    for row, image in zip(rows, out.images, strict=True):
        assert np.array_equal(image, digits.images[row])


def test_repeats_even_out_the_training_images_alone(digits):
    rows, split = skewed(digits, {"3": 0.9, "7": 0.1}, 100, 30)
    labels = digits.labels[rows]
    even = evened(labels, split, {3: 0.5, 7: 0.5})
    train = even[split[even] == 0]
    assert np.bincount(labels[train])[[3, 7]].tolist() == [90, 90]
    assert len(set(train[labels[train] == 7].tolist())) == 10
    assert sorted(even[split[even] == 1].tolist()) == np.flatnonzero(split == 1).tolist()


def test_too_few_images_are_told(digits):
    with pytest.raises(ValueError, match="class 3 has 183 images, and 900 to train on"):
        skewed(digits, {"3": 0.9, "7": 0.1}, 1000, 30)
    with pytest.raises(ValueError, match="unknown class '33'"):
        skewed(digits, {"33": 1.0}, 10, 3)
