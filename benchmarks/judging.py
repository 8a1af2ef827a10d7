"""Judging an item once the floors of its reference are kept, beside measuring them again."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.side_by_side import Row, compared, side_by_side
from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from evaluation.config import EvaluationConfig
from evaluation.judge import judge
from evaluation.reference import build_reference, load_reference

IMAGES, ROUNDS = 900, 7


def rows() -> Iterator[Row]:
    """One row: noisy training digits against the held-out ones, at the default settings."""
    config = EvaluationConfig()
    with TemporaryDirectory() as name:
        folder = Path(name)
        prepare_dataset(DatasetConfig(), folder / "dataset")
        digits = ImageDataset(folder / "dataset")
        build_reference(digits, config, folder / "reference")
        reference = load_reference(folder / "reference")
        chosen = digits.images[digits.train_indices[:IMAGES]].astype(int)
        noise = np.random.default_rng(0).integers(-40, 40, chosen.shape)
        images = np.clip(chosen + noise, 0, 255).astype(np.uint8)

        def judged(floors: Path | None) -> dict:
            return judge(images, None, reference, config, seed=0, floors=floors)

        kept = folder / "floors"
        same = judged(kept) == judged(None)
        taken = side_by_side({"kept": lambda: judged(kept), "anew": lambda: judged(None)}, ROUNDS)
    note = "the same numbers" if same else "OTHER NUMBERS"
    what = f"{IMAGES} digits, {config.floor_draws} draws"
    yield compared(what, taken["kept"], "without kept floors", taken["anew"], note=note)
