"""Which classes a data set has, and which images are judged."""

import json

import numpy as np
import pytest
from PIL import Image

from dataset.classes import trained_classes
from dataset.config import DatasetConfig
from dataset.errors import DatasetError
from dataset.prepare import prepare_dataset
from dataset.split import hash_split, image_hash
from dataset.store import ImageDataset
from sampling.labels import generation_labels


def test_classes_are_those_of_training_images():
    labels = np.array([0, 1, 1, 3, 3, -1, 0, 3, 4])
    split = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1], np.int8)
    classes = trained_classes(["a", "b", "c", "d", "e"], labels, split)
    assert classes.names == ["a", "d"]
    assert classes.labels.tolist() == [0, -1, -1, 1, 1, -1, 0, 1, -1]
    assert classes.untrained == {"b": [1, 2], "e": [8]} and classes.unjudged == [1, 2, 8]
    (remark,) = classes.remarks()
    assert "2 classes have no training image (b, e)" in remark and "images (3)" in remark
    usual = trained_classes(["a", "b"], np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1], np.int8))
    assert (usual.names, usual.untrained, usual.remarks()) == (["a", "b"], {}, [])
    with pytest.raises(DatasetError, match=r"3 of 4 held-out images .*\(b\).*give more images"):
        trained_classes(["a", "b"], np.array([0, 1, 1, 1, 0]), np.array([0, 1, 1, 1, 1], np.int8))


def square(seed):
    return np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of 20 images, and between them `m`, of which the split holds out both images."""
    held_out = [s for s in range(100, 200) if image_hash(square(s).tobytes()) < 2**62]
    for seed in [*range(40), *held_out[:2]]:
        name = "m" if seed >= 100 else "az"[seed % 2]
        (tmp_path / "in" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(square(seed)).save(tmp_path / "in" / name / f"{seed:03}.png")
    return tmp_path / "in"


def prepare(folder, out):
    config = DatasetConfig(source="image_folder", path=str(folder))
    return prepare_dataset(config, out), ImageDataset(out)


def test_a_class_of_held_out_images_is_told_never_sampled_and_never_judged(folder, tmp_path):
    manifest, data = prepare(folder, tmp_path / "out")
    rare = list(range(20, 22))  # rows of class m, between those of a and z
    hashes = np.array([image_hash(image.tobytes()) for image in data.images], np.uint64)
    assert (data.split == hash_split(hashes, 0.25)).all() and data.split[rare].all()
    assert manifest["untrained_classes"] == {"m": rare} and manifest["empty_classes"] == []
    assert (data.num_classes, data.label_names) == (2, ["a", "z"])
    assert manifest["class_counts"] == [20, 20] and (data.labels[rare] == -1).all()
    assert set(generation_labels(data, 0, 100).tolist()) == {0, 1}
    assert not set(rare) & {*data.train_indices.tolist(), *data.held_out_indices.tolist()}
    assert len(data.held_out_indices) == manifest["num_held_out"] - 2
    assert "1 class has no training image (m)" in manifest["remarks"][0]


def test_images_that_come_give_the_class_back_and_move_no_other(folder, tmp_path):
    first, before = prepare(folder, tmp_path / "before")
    trained = next(s for s in range(200, 300) if image_hash(square(s).tobytes()) >= 2**62)
    Image.fromarray(square(trained)).save(folder / "m" / "999.png")
    manifest, after = prepare(folder, tmp_path / "after")
    assert (manifest["untrained_classes"], manifest["remarks"]) == ({}, [])
    assert after.label_names == ["a", "m", "z"] and after.labels[20:23].tolist() == [1, 1, 1]
    assert (np.delete(after.split, 22) == before.split).all()
    assert manifest["content_hash"] != first["content_hash"]


@pytest.mark.parametrize("names", [{"m": [0]}, {"m": [99]}, {"m": 3}, {"m": ["x"]}, ["m"]])
def test_rows_that_do_not_fit_are_damage(folder, tmp_path, names):
    prepare(folder, tmp_path / "out")
    file = tmp_path / "out" / "dataset.json"
    written = json.loads(file.read_text())
    file.write_text(json.dumps(written | {"untrained_classes": names}))
    with pytest.raises(DatasetError, match="untrained_classes that do not fit: run the prepare"):
        ImageDataset(tmp_path / "out")
    del written["untrained_classes"]  # as older versions wrote it
    file.write_text(json.dumps(written))
    assert len(ImageDataset(tmp_path / "out")) == 42
