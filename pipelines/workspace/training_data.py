"""What denoisers are trained on: the prepared pictures, or their latents."""

from pathlib import Path
from typing import TYPE_CHECKING

from foundation.json_files import read_object
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import ParamsError
from pipelines.workspace.paths import DATASET, LATENTS

if TYPE_CHECKING:
    from dataset.store import ImageDataset


def latents_folder(params: Params) -> Path | None:
    """The folder of the latents; None where the denoiser sees pixels.

    Raises ParamsError where the stage `encode` has not run with these settings.
    """
    config = params.autoencoder
    if config.kind == "none":
        return None
    try:
        found = read_object(LATENTS / "latents.json").get("settings")
    except (OSError, ValueError):
        found = None
    if found != config.model_dump(mode="json"):
        raise ParamsError(
            f"autoencoder: {LATENTS} does not hold latents of this autoencoder ({config.kind}): "
            "run the stages that make them (dvc repro encode)"
        )
    return LATENTS


def training_dataset(params: Params) -> "ImageDataset":
    """The data set that params train on.

    Raises ParamsError or DatasetError where it is missing, and WeightsError where the autoencoder
    of its latents is: a training would meet that at its first picture.
    """
    from dataset.latents import open_dataset

    folder = latents_folder(params)
    dataset = open_dataset(DATASET, folder)
    if folder is not None:
        from models.codecs import LatentCodec, make_codec

        codec = make_codec(dataset.codec)
        codec.look_near(folder)
        if isinstance(codec, LatentCodec):
            codec.find()
    return dataset
