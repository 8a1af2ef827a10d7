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


def regression(settings: "RunSettings", dataset: "ImageDataset", world: "World") -> "Method":
    """A student that learns its teacher's images of known noise."""
    from training.methods.regression import Regression

    return Regression(settings, dataset, world)


def consistency(settings: "RunSettings", dataset: "ImageDataset", world: "World") -> "Method":
    """A student that gives one image for all states of a path (ECT)."""
    from training.methods.consistency import Consistency

    return Consistency(settings, dataset, world)


def distribution_matching(
    settings: "RunSettings", dataset: "ImageDataset", world: "World"
) -> "Method":
    """A student that follows the scores of its teacher and of a critic (DMD2)."""
    from training.methods.distribution_matching import DistributionMatching

    return DistributionMatching(settings, dataset, world)


def ddo(settings: "RunSettings", dataset: "ImageDataset", world: "World") -> "Method":
    """A student of full length whose likelihood ratio to its teacher is the discriminator."""
    from training.methods.ddo import DirectDiscrimination

    return DirectDiscrimination(settings, dataset, world)


def autoencoder(settings: "RunSettings", dataset: "ImageDataset", world: "World") -> "Method":
    """The autoencoder of kind kl, before there is a denoiser."""
    from training.methods.autoencoder import AutoencoderTraining

    return AutoencoderTraining(settings, dataset, world)


METHODS: dict[str, Callable[["RunSettings", "ImageDataset", "World"], "Method"]] = {
    "denoising": denoising,
    "regression": regression,
    "consistency": consistency,
    "distribution_matching": distribution_matching,
    "ddo": ddo,
    "autoencoder": autoencoder,
}
"""{value of train.method: function that makes the method}. A new method is a class that follows
the protocol of training/method.py."""
