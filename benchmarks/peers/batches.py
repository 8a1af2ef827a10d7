"""Training batches from the memory map beside a DataLoader over PNG files, in random order.

The memory map has 1M images of 32x32x3 (3 GB), in a file with holes, so that it needs no room on
the disk: its pages come from the system's memory, as those of a data set do that has been read
once. A DataLoader's speed does not depend on the number of files, so there are fewer of them.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers.networks import BATCH, MODEL, SHAPE
from benchmarks.peers.our_training import our_step, settings_of
from benchmarks.peers.place import Place
from benchmarks.side_by_side import Row, compared, side_by_side
from dataset.store import ImageDataset
from models.codecs import PixelCodec
from training.batches import draw_batch, draw_stored
from training.encoded_images import encoded_images
from training.run_settings import RunSettings

IMAGES, FILES, SIDE = 1_000_000, 4096, 32
AIM, SHARE_AIM = 1 / 10, 0.02
ROUNDS, AT_ONCE = 9, 8
CONFIG = MODEL
"""Of the training step."""
WORKERS = (0, 2)
"""Processes of the DataLoader, each of which is tried."""
PEER = "DataLoader over PNG"


def rows() -> Iterator[Row]:
    """Batches beside each DataLoader; then their share of a training step."""
    settings = settings_of(CONFIG)
    with TemporaryDirectory() as name:
        dataset = sparse_images(Path(name) / "map", IMAGES, SIDE)
        write_pngs(Path(name) / "png", FILES, SIDE)
        ways = {"ours": our_batches(settings, dataset)}
        loaders = {f"{PEER}, {n} workers": Batches(Path(name) / "png", n) for n in WORKERS}
        ways |= {which: loader.take for which, loader in loaders.items()}
        taken = side_by_side(ways, ROUNDS)
        for which in loaders:
            what = f"{AT_ONCE} batches of {BATCH}, {IMAGES:,} images"
            yield compared(what, taken["ours"], which, taken[which], AIM)
        step = our_step(settings, dataset, Place())
        one = {
            "images": our_batches(settings, dataset, 1),
            "all": all_drawn(settings, dataset),
            "step": step,
        }
        taken = side_by_side(one, ROUNDS)
        yield compared(
            f"images of a batch of {BATCH}",
            taken["images"],
            "training step",
            taken["step"],
            SHARE_AIM,
        )
        what = "the same with labels, noise and its levels"
        yield compared(what, taken["all"], "training step", taken["step"], SHARE_AIM)


def sparse_images(folder: Path, count: int, side: int) -> ImageDataset:
    """A data set of so many black images without labels, of which one is held out."""
    folder.mkdir(parents=True)
    shape = (count, side, side, SHAPE[0])
    np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape).flush()
    split = np.zeros(count, np.int8)
    split[-1] = 1
    np.save(folder / "split.npy", split)
    np.save(folder / "labels.npy", np.full(count, -1, np.int64))
    manifest = {"num_images": count, "num_train": count - 1, "num_held_out": 1}
    manifest |= {"resolution": side, "channels": SHAPE[0], "num_classes": 0}
    kept = {**manifest, "label_names": [], "content_hash": "sparse"}
    (folder / "dataset.json").write_text(json.dumps(kept))
    return ImageDataset(folder)


def write_pngs(folder: Path, count: int, side: int) -> None:
    """Write so many pictures of random pixels."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, SHAPE[0]), np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{number:07d}.png")


def our_batches(
    settings: RunSettings, dataset: ImageDataset, batches: int | None = None
) -> Callable[[], None]:
    """A call that reads the next batches as the trainer does, in data units."""
    codec, size, seen = PixelCodec(), settings.train.batch_size, 0

    def take() -> None:
        nonlocal seen
        for _ in range(AT_ONCE if batches is None else batches):
            slots = range(seen, seen + size)
            stored, _, mirrored = draw_stored(settings, dataset, slots)
            encoded_images(codec, stored, mirrored, settings.seed, "latent", slots)
            seen += size

    return take


def all_drawn(settings: RunSettings, dataset: ImageDataset) -> Callable[[], None]:
    """A call that draws the whole next batch."""
    codec, size, seen = PixelCodec(), settings.train.batch_size, 0

    def take() -> None:
        nonlocal seen
        draw_batch(settings, dataset, codec, range(seen, seen + size), torch.device("cpu"))
        seen += size

    return take


class Pictures(Dataset[Tensor]):
    """The PNG files of a folder, each float32 [C, H, W] from -1 to 1."""

    def __init__(self, files: Sequence[Path]):
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.files[index]) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1


class Batches:
    """Endless batches of a DataLoader, a new random order each time its files are through."""

    def __init__(self, folder: Path, workers: int):
        self.loader = DataLoader(
            Pictures(sorted(folder.glob("*.png"))),
            BATCH,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            drop_last=True,
        )
        self.left = iter(self.loader)

    def take(self) -> None:
        """Take the next AT_ONCE batches."""
        for _ in range(AT_ONCE):
            try:
                next(self.left)
            except StopIteration:
                self.left = iter(self.loader)
                next(self.left)
