"""Draws the labels of a study's images, as `evaluate` does."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset.store import ImageDataset
from sampling.labels import generation_labels

if TYPE_CHECKING:
    from torch import Tensor

    from models.denoiser import Denoiser


def study_labels(
    denoiser: "Denoiser", dataset: Path, seed: int, count: int, rows: np.ndarray | None = None
) -> "Tensor | None":
    """Labels int64 [count], as frequent as in the data set; None for an unconditional denoiser.

    dataset: folder of the images on which the denoiser was trained. rows: the training images
    whose labels are drawn, those of the reference if there is one; None: all. Raises ValueError if
    it holds no data set, or one with other classes.
    """
    if not denoiser.num_classes:
        return None
    if not (dataset / "dataset.json").is_file():
        raise ValueError(
            f"{dataset} holds no data set, and generated images are to have its classes as often "
            "as it has them: give --dataset FOLDER"
        )
    images = ImageDataset(dataset)
    if images.num_classes != denoiser.num_classes:
        raise ValueError(
            f"{dataset} has {images.num_classes} classes and the denoiser {denoiser.num_classes}: "
            "give the data set that it was trained on, --dataset FOLDER"
        )
    trained = {name: n for n, name in enumerate(getattr(denoiser, "label_names", ()))}
    for number, name in enumerate(images.label_names):
        if trained.get(name, number) != number:
            raise ValueError(
                f"{dataset} calls {name!r} class {number} and the weights class {trained[name]}: "
                "give the data set that they were trained on, --dataset FOLDER"
            )
    import torch

    return torch.from_numpy(generation_labels(images, seed, count, images=rows))


def dataset_beside(reference: Path | None) -> Path:
    """The default folder of a data set: beside its reference."""
    return (Path("outputs") if reference is None else reference.parent) / "dataset"
