"""The methods of training by name, each imported only where it is used."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # names of methods are checked where no network is wanted
    from dataset.store import ImageDataset
    from foundation.workers import World
    from training.method import Method
    from training.run_settings import RunSettings


def denoising(settings: "RunSettings", dataset: "ImageDataset", world: "World") -> "Method":
    """Plain denoising (EDM, EDM2)."""
    from training.methods.denoising import Denoising

    return Denoising(settings, dataset, world)


METHODS: dict[str, Callable[["RunSettings", "ImageDataset", "World"], "Method"]] = {
    "denoising": denoising,
}
"""Behind train.method. A new method is one class that keeps the protocol of training/method.py."""
