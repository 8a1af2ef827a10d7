"""FashionMNIST and CIFAR10 by name: read from local files, or else downloaded by torchvision.

Files looked for, for FashionMNIST: the four IDX files, plain or gzipped, in `path`, `path/raw` or
`path/FashionMNIST/raw`; for CIFAR10: `path/cifar-10-batches-py` or cifar-10-python.tar.gz. With
path null that is ~/.cache/torch/datasets and, for FashionMNIST, the folder of the Debian package
dataset-fashion-mnist. Nothing is fetched where the files of the split are found.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.decode import reason
from dataset.errors import DatasetError
from dataset.sources.config import SourceConfig
from dataset.sources.idx import read_idx
from dataset.sources.locate import places
from dataset.sources.record import Record, Source

NAMES = ("FashionMNIST", "CIFAR10")
_DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_NETWORK_PATIENCE = 30.0  # seconds without an answer


def check_torchvision(config: SourceConfig) -> None:
    """Takes one of NAMES and one of its two splits."""
    if config.name not in NAMES:
        raise ValueError(f"source torchvision needs name to be one of {', '.join(NAMES)}")
    if config.split not in ("train", "test"):
        raise ValueError("source torchvision needs split to be train or test")


@contextmanager
def open_torchvision(config: SourceConfig, roots: Sequence[Path]) -> Iterator[Source]:
    """The train or test split of `config.name`, in its official order."""
    if config.path is None:
        folder = Path.home() / ".cache" / "torch" / "datasets"
    else:
        candidates = places(config.path, roots)
        folder = next((found for found in candidates if found.exists()), candidates[-1])
    yield (_fashion_mnist if config.name == "FashionMNIST" else _cifar10)(folder, config)


def _fashion_mnist(folder: Path, config: SourceConfig) -> Source:
    from torchvision.datasets import FashionMNIST  # slow to import, and only needed here

    folders = [folder, folder / "raw", folder / "FashionMNIST" / "raw"]
    if config.path is None:
        folders.append(_DEBIAN_FOLDER)
    files = _find_idx_pair(folders, config.split)
    if files is None:
        _fetch("FashionMNIST", folder, lambda: FashionMNIST(folder, download=True))
        files = _find_idx_pair(folders, config.split)
        assert files is not None, folder
    (images_file, labels_file) = files
    shape, images = read_idx(images_file)
    label_shape, labels = read_idx(labels_file)
    if shape[1:] != (28, 28) or label_shape != shape[:1]:
        raise DatasetError(
            f"{images_file} with shape {shape} and {labels_file.name} with {label_shape} are not "
            "FashionMNIST: delete them and fetch them again"
        )
    names = tuple(FashionMNIST.classes)
    records = (
        Record(f"{images_file.name}[{i}]", partial(Image.frombytes, "L", (28, 28), image), label[0])
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    )
    return Source(names, shape[0], _checked(records, len(names), labels_file))


def _find_idx_pair(folders: Sequence[Path], split: str) -> tuple[Path, Path] | None:
    prefix = {"train": "train", "test": "t10k"}[split]
    for folder in folders:
        for suffix in ("", ".gz"):
            images = folder / f"{prefix}-images-idx3-ubyte{suffix}"
            labels = folder / f"{prefix}-labels-idx1-ubyte{suffix}"
            if images.is_file() and labels.is_file():
                return images, labels
    return None


def _checked(records: Iterator[Record], num_classes: int, file: Path) -> Iterator[Record]:
    for record in records:
        if record.label >= num_classes:
            raise DatasetError(
                f"{file} names class {record.label} of {num_classes}: fetch it again"
            )
        yield record


def _cifar10(folder: Path, config: SourceConfig) -> Source:
    from torchvision.datasets import CIFAR10  # slow to import, and only needed here

    if folder.name == CIFAR10.base_folder:
        folder = folder.parent
    files = CIFAR10.train_list if config.split == "train" else CIFAR10.test_list

    def read(entry: list[str]) -> CIFAR10:
        """One file of 10,000 images, checksum and pickle left to torchvision."""
        one_file = type("OneFile", (CIFAR10,), {"train_list": [entry], "test_list": []})
        try:
            return one_file(folder)
        except RuntimeError:
            raise DatasetError(
                f"{folder / CIFAR10.base_folder} fails torchvision's checksums at {entry[0]} or "
                "batches.meta: delete it and fetch it again"
            ) from None

    if not all((folder / CIFAR10.base_folder / name).is_file() for name, _ in files):
        _fetch("CIFAR10", folder, lambda: CIFAR10(folder, download=True))
    first = read(files[0])

    def records() -> Iterator[Record]:
        for entry in files:
            part = read(entry)
            for i, (image, label) in enumerate(zip(part.data, part.targets, strict=True)):
                pixels = np.ascontiguousarray(image)  # [32, 32, 3]
                yield Record(f"{entry[0]}[{i}]", partial(Image.fromarray, pixels), int(label))

    return Source(tuple(first.classes), len(first.data) * len(files), records())


def _fetch(name: str, folder: Path, download: Callable[[], object]) -> None:
    """Let torchvision unpack its archive in the folder, or download it."""
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_PATIENCE)
    try:
        download()
    except Exception as error:  # of network, disk, checksum, archive: torchvision raises many kinds
        raise DatasetError(
            f"dataset: {name} is not in {folder} and cannot be fetched ({reason(error)}): put its "
            "files there, or set dataset.path to the folder that holds them"
        ) from None
    finally:
        socket.setdefaulttimeout(patience)
