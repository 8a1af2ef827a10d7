"""A few random images in the shape of a data set that is not prepared yet."""

import json
from pathlib import Path

import numpy as np

from dataset.config import DatasetConfig

COUNT = 64
GREY = {"digits", "FashionMNIST"}
CLASSES = 10


def write_stand_in(config: DatasetConfig, folder: Path) -> None:
    """Write random images of the wanted size into `folder`, for measurements of speed alone.

    With dataset.channels auto they are grey for digits and FashionMNIST, and else in colour.
    """
    grey = config.source in GREY or config.name in GREY
    channels = (1 if grey else 3) if config.channels == "auto" else config.channels
    side = config.resolution
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (COUNT, side, side, channels), np.uint8)
    split = (np.arange(COUNT) % 2).astype(np.int8)
    labels = np.arange(COUNT, dtype=np.int64) // 2 % CLASSES
    for name, array in (("images", images), ("labels", labels), ("split", split)):
        np.save(folder / f"{name}.npy", array)
    manifest = {
        "num_images": COUNT,
        "num_train": COUNT // 2,
        "num_held_out": COUNT // 2,
        "resolution": side,
        "channels": channels,
        "num_classes": CLASSES,
        "label_names": [str(number) for number in range(CLASSES)],
        "content_hash": "stand-in",
    }
    (folder / "dataset.json").write_text(json.dumps(manifest))
