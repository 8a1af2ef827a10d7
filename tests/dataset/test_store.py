import json
import pickle

import numpy as np
import pytest
import torch

from dataset.config import DatasetConfig
from dataset.errors import DatasetError
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from models.codecs import PixelCodec


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare_dataset(DatasetConfig(), folder)
    return folder


@pytest.fixture
def copy(digits, tmp_path):
    for file in digits.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_holds_what_was_prepared(digits):
    data = ImageDataset(digits)
    assert isinstance(data.images, np.memmap) and not data.images.flags.writeable
    assert len(data) == 1797 and data.image_shape == (1, 8, 8) and data.num_classes == 10
    assert data.label_names == list("0123456789") and len(data.content_hash) == 64
    together = np.concatenate([data.train_indices, data.held_out_indices])
    assert sorted(together) == list(range(1797))
    assert data.manifest["num_train"] == len(data.train_indices)


def test_stored_pictures_are_encoded_to_denoiser_units(digits):
    data = ImageDataset(digits)
    stored, labels = data.stored([3, 0, 3])
    images = PixelCodec().encode(stored)
    assert images.shape == (3, 1, 8, 8) and images.dtype == torch.float32
    assert labels.dtype == torch.int64 and labels.tolist() == [3, 0, 3]
    np.testing.assert_allclose(images[1, 0], data.images[0, ..., 0] / 127.5 - 1, atol=1e-6)
    stored[:] = 0  # the caller's own copy
    assert data.images[3].any()
    one, other = (data.stored(index)[0] for index in (torch.tensor([5]), np.array([5])))
    assert (one == other).all()


def test_groups_are_the_classes(digits):
    data = ImageDataset(digits)
    assert data.group_labels.dtype == np.int64
    assert (data.group_labels == data.labels).all() and len(set(data.group_labels.tolist())) == 10


def test_pickles_as_its_folder(digits):
    data = ImageDataset(digits)
    assert len(pickle.dumps(data)) < 1000
    assert (pickle.loads(pickle.dumps(data)).images == data.images).all()


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def objects(path):
    np.save(path, np.array([object()] * 1797), allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "dataset.json").unlink(), "holds no finished data set"),
        (lambda d: (d / "dataset.json").write_text("{"), "dataset.json cannot be read"),
        (
            lambda d: (d / "dataset.json").write_text("[]"),
            r"dataset.json cannot be read \(it holds a list\)",
        ),
        (lambda d: edit(d / "dataset.json", content_hash=None), "lacks content_hash"),
        (lambda d: (d / "images.npy").unlink(), "images.npy is missing"),
        (lambda d: cut(d / "images.npy"), "images.npy cannot be read"),
        (lambda d: (d / "images.npy").write_bytes(b""), "images.npy cannot be read"),
        (lambda d: cut(d / "labels.npy"), "labels.npy cannot be read"),
        (lambda d: objects(d / "labels.npy"), "labels.npy cannot be read"),
        (lambda d: np.save(d / "labels.npy", np.zeros(9, int)), r"is int64 \(9,\), dataset.json"),
        (lambda d: edit(d / "dataset.json", channels=3), "dataset.json says uint8"),
        (lambda d: edit(d / "dataset.json", num_classes=3), "labels that dataset.json"),
        (lambda d: np.save(d / "split.npy", np.zeros(1797, np.int8)), "the counts of"),
    ],
)
def test_damage_is_named_and_the_mend_too(copy, damage, message):
    damage(copy)
    with pytest.raises(DatasetError, match=f"{message}.*run the prepare stage"):
        ImageDataset(copy)


def test_copies_are_known_by_the_number_of_distinct_images(digits):
    assert not ImageDataset(digits).has_copies
    other = ImageDataset(digits)
    other.manifest["num_distinct"] -= 1
    assert other.has_copies
    del other.manifest["num_distinct"]  # an older version did not count them
    assert not other.has_copies


def test_whatever_dataset_json_holds_is_one_dataset_error(copy, odd_variants):
    written = json.loads((copy / "dataset.json").read_text())
    for odd in odd_variants({key: written[key] for key in written if key != "skipped"}):
        (copy / "dataset.json").write_text(json.dumps(odd))
        try:
            ImageDataset(copy)
        except DatasetError as error:
            assert str(copy) in str(error) and "\n" not in str(error)
