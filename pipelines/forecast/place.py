"""Where this machine trains, and on which images a training is measured."""

from pathlib import Path
from typing import TYPE_CHECKING

from dataset.store import ImageDataset

if TYPE_CHECKING:
    import torch


def training_device(settings_use_gpu: bool | None, fewest_workers: int) -> "torch.device":
    """Where workers of this machine train: on GPUs if there is one for each of them."""
    import torch

    gpus = torch.cuda.device_count() if settings_use_gpu is not False else 0
    return torch.device("cuda" if gpus >= max(1, fewest_workers) else "cpu")


def prepared_or_none(folder: Path, resolution: int) -> ImageDataset | None:
    """The prepared data set if it is there and has this resolution."""
    try:
        found = ImageDataset(folder)
    except ValueError:
        return None
    return found if found.image_shape[1] == resolution else None
