import gzip
import hashlib
import pickle
import struct
from urllib.error import URLError

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, FashionMNIST

from dataset.config import DatasetConfig
from dataset.errors import DatasetError
from dataset.sources import torchvision_sets
from dataset.sources.torchvision_sets import open_torchvision


def read(name, path, split="train"):
    config = DatasetConfig(source="torchvision", name=name, path=str(path), split=split)
    with open_torchvision(config, (path,)) as source:
        records = list(source.records)
        images = [np.asarray(record.load()) for record in records]
    assert source.count == len(records)
    return source.label_names, np.stack(images), [record.label for record in records]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(self):
        raise URLError("no route to host")

    monkeypatch.setattr(CIFAR10, "download", refuse)
    monkeypatch.setattr(FashionMNIST, "download", refuse)


def write_idx(folder, prefix, images, labels, zipped):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in [("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)]:
        data = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        data += array.tobytes()
        file = folder / f"{prefix}-{name}{'.gz' if zipped else ''}"
        file.write_bytes(gzip.compress(data) if zipped else data)


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.array([9, 0, 3, 3, 1, 7], dtype=np.uint8)


@pytest.mark.parametrize("where", ["FashionMNIST/raw", "raw", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_fashion_mnist_from_files_that_lie_there(tmp_path, where, zipped):
    write_idx(tmp_path / where, "train", IMAGES, LABELS, zipped)
    write_idx(tmp_path / where, "t10k", IMAGES[:2], LABELS[:2], zipped)
    names, images, labels = read("FashionMNIST", tmp_path)
    assert names[0] == "T-shirt/top" and len(names) == 10
    assert (images == IMAGES).all() and labels == LABELS.tolist()
    assert (read("FashionMNIST", tmp_path, "test")[1] == IMAGES[:2]).all()


def test_fashion_mnist_agrees_with_torchvision(tmp_path):
    for prefix in ("train", "t10k"):
        write_idx(tmp_path / "FashionMNIST" / "raw", prefix, IMAGES, LABELS, zipped=False)
    theirs = FashionMNIST(tmp_path)
    names, images, labels = read("FashionMNIST", tmp_path)
    assert (images == theirs.data.numpy()).all() and labels == theirs.targets.tolist()
    assert list(names) == theirs.classes


def test_fashion_mnist_that_is_none(tmp_path):
    write_idx(tmp_path, "train", IMAGES[:, :20, :20].copy(), LABELS, zipped=False)
    with pytest.raises(DatasetError, match="not FashionMNIST"):
        read("FashionMNIST", tmp_path)
    write_idx(tmp_path, "train", IMAGES, LABELS + 1, zipped=False)
    with pytest.raises(DatasetError, match="class 10 of 10"):
        read("FashionMNIST", tmp_path)


@pytest.mark.parametrize("name", ["FashionMNIST", "CIFAR10"])
def test_absent_and_offline_says_where_to_put_the_files(tmp_path, name):
    with pytest.raises(
        DatasetError, match=f"{name} is not in .*no route to host.*dataset.path"
    ) as e:
        read(name, tmp_path)
    assert "\n" not in str(e.value)


def test_without_a_path_the_cache_and_debians_folder_are_searched(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(torchvision_sets, "_DEBIAN_FOLDER", tmp_path / "debian")
    config = DatasetConfig(source="torchvision", name="FashionMNIST")
    write_idx(tmp_path / "debian", "train", IMAGES[:2], LABELS[:2], zipped=True)
    with open_torchvision(config, ()) as source:
        assert source.count == 2
    cache = tmp_path / ".cache" / "torch" / "datasets"
    write_idx(cache / "FashionMNIST" / "raw", "train", IMAGES, LABELS, zipped=False)
    with open_torchvision(config, ()) as source:
        assert source.count == 6


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Two training files and a test file of CIFAR10's make, with their checksums registered."""
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 256, (9, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, 9).tolist()

    def write(name, content):
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    def batch(name, rows):
        content = {"data": planes[rows].reshape(-1, 3072), "labels": labels[rows]}
        return [name, write(name, content)]

    train = [batch("data_batch_1", slice(0, 3)), batch("data_batch_2", slice(3, 6))]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch", slice(6, 9))])
    names = [f"class {i}" for i in range(10)]
    meta = {"filename": "batches.meta", "key": "label_names"}
    meta["md5"] = write("batches.meta", {"label_names": names})
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return tmp_path, planes.transpose(0, 2, 3, 1), labels


def test_cifar10_file_by_file(cifar):
    folder, pixels, labels = cifar
    for path in (folder, folder / CIFAR10.base_folder):
        names, images, read_labels = read("CIFAR10", path)
        assert names[3] == "class 3"
        assert (images == pixels[:6]).all() and read_labels == labels[:6]
    assert (read("CIFAR10", folder, "test")[1] == pixels[6:]).all()


@pytest.mark.parametrize("name", ["data_batch_2", "batches.meta"])
def test_cifar10_with_a_wrong_checksum_is_never_unpickled(cifar, name):
    folder = cifar[0]
    file = folder / CIFAR10.base_folder / name
    file.write_bytes(file.read_bytes() + b".")
    with pytest.raises(DatasetError, match="fails torchvision's checksums"):
        read("CIFAR10", folder)
