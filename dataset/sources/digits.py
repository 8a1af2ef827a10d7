"""scikit-learn's embedded digits: 1,797 grey images of 8x8, ten classes, no download."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.sources.config import SourceConfig
from dataset.sources.record import Record, Source


def check_digits(config: SourceConfig) -> None:
    """Takes neither path nor name."""
    config.refuse_path("image_folder for your own files")
    config.refuse_name()


@contextmanager
def open_digits(config: SourceConfig, roots: Sequence[Path]) -> Iterator[Source]:
    """All digits in the order of scikit-learn; ink 0..16 becomes grey 0..255."""
    from sklearn.datasets import load_digits  # slow to import, and only needed here

    digits = load_digits()
    pixels = np.floor(digits.images * (255 / 16) + 0.5).astype(np.uint8)  # [1797, 8, 8]
    records = (
        Record(f"digit {index}", partial(Image.fromarray, image), int(label))
        for index, (image, label) in enumerate(zip(pixels, digits.target, strict=True))
    )
    yield Source(tuple(str(name) for name in digits.target_names), len(pixels), records)
