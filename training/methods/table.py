"""The table of the methods of training; a method is imported when it is used."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # checking a method's name must not import networks
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
"""{value of train.method: function that makes the method}. A new method is a class that follows
the protocol of training/method.py."""
