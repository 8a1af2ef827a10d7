"""Finds settings of training that do not fit each other, and says how to mend them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from training.fine_tuning.refusals import fine_tuning_refusals

if TYPE_CHECKING:
    from pipelines.settings.schema import Params


def train_problems(params: "Params") -> Iterator[str]:
    """One line for each problem, with the YAML path and the mend."""
    bins, images = params.train.sigma_bins, params.train.held_out_images
    if bins > images:
        yield (
            f"train.sigma_bins: {bins} noise levels do not share the {images} images of "
            f"train.held_out_images: use at most {images} bins, or at least {bins} images"
        )
    if params.noise.gradient_penalty and params.train.compile:
        yield (
            "noise.gradient_penalty: it needs second derivatives, which a compiled network has "
            "not, with train.compile: set one of them to its default"
        )
    yield from fine_tuning_refusals(params.train, params.model, params.structure)


def train_remarks(params: "Params") -> Iterator[str]:
    """One line for each setting that is allowed but probably not what the user meant."""
    train = params.train
    if train.optimizer == "muon" and train.lr < 0.03:  # adam at its 0.01 is quicker
        yield (
            f"train.lr: at {train.lr:g} muon hardly learns: its steps are a fifth of the rate, so "
            "it takes rates of about 0.1 (docs/convergence.md)"
        )
