"""Settings of the autoencoders, by kind; importing them does not import torch.

A kind is a network in a file of its own (models/autoencoder.py lists them), a class of settings
here with one entry in AUTOENCODERS, and a way to its weights, which the stage `autoencoder` knows.
"""

from importlib.util import find_spec
from operator import not_
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from foundation.bounds import IMAGES_AT_ONCE, KIMG, AtMost
from foundation.settings_base import Settings
from foundation.settings_by_kind import ByKind
from models.autoencoders.diffusers_folder import read_diffusers_folder

Rate = Annotated[float, Field(gt=0), AtMost(1, "Adam then moves each weight by more than it is")]


class AutoencoderConfig(Settings):
    """Settings of one kind of autoencoder, which has a `kind: Literal[...]` of its own."""

    kind: str
    """Which autoencoder this is."""

    @property
    def latent_channels(self) -> int:
        """Channels of the latents; 0 without an autoencoder."""
        raise NotImplementedError

    def latent_side(self, side: int) -> int:
        """Height and width of the latents of pictures of `side` pixels; `refusal` allows them."""
        raise NotImplementedError

    def refusal(self, side: int, channels: int | None) -> str | None:
        """Why it cannot encode pictures of so many pixels a side and channels, or None.

        channels: None where the pictures decide. The end of an error message that begins with the
        YAML path `autoencoder`.
        """
        return None

    def missing(self) -> str | None:
        """Why it cannot be had on this machine, or None.

        The end of an error message that begins with the YAML path `autoencoder`.
        """
        return None


class NoAutoencoderConfig(AutoencoderConfig):
    """No autoencoder: the denoiser sees the pixels themselves."""

    kind: Literal["none"] = "none"
    """Has no settings."""

    @property
    def latent_channels(self) -> int:
        """There are no latents."""
        return 0

    def latent_side(self, side: int) -> int:
        """The picture's own."""
        return side


class PCAConfig(AutoencoderConfig):
    """Principal components of the training images' patches, the cheapest reduction."""

    kind: Literal["pca"] = "pca"
    """Linear, computed in seconds; keeps coarse shapes and loses fine texture first."""
    factor: Annotated[int, Field(ge=1, le=64)] = 2
    """Side of a patch (pixels); latents are smaller than pictures by it."""
    channels: Annotated[int, Field(ge=1, le=4096)] = 4
    """Components kept of each patch; factor x factor x the picture's channels keep everything."""

    @property
    def latent_channels(self) -> int:
        """The components."""
        return self.channels

    def latent_side(self, side: int) -> int:
        """One latent pixel for each patch."""
        return side // self.factor

    def refusal(self, side: int, channels: int | None) -> str | None:
        """Refuses patches that do not tile the picture, and more components than a patch has."""
        if side % self.factor:
            fits = [f for f in range(1, min(side, 64) + 1) if side % f == 0]
            return (
                f".factor: patches of {self.factor}x{self.factor} pixels do not tile pictures of "
                f"{side}x{side} (dataset.resolution): use one of {', '.join(map(str, fits))}"
            )
        most = self.factor**2 * (channels or 3)
        if self.channels > most:
            return (
                f".channels: a patch of {self.factor}x{self.factor} pixels has {most} numbers, and "
                f"{self.channels} components are asked for: use at most {most}, or a larger factor"
            )
        return None


class KLConfig(AutoencoderConfig):
    """A small convolutional network with normal latents, trained on the training images."""

    kind: Literal["kl"] = "kl"
    """Trained before the denoiser, in minutes to hours; keeps more than pca in as many numbers."""
    factor: Literal[2, 4, 8] = 4
    """Latents are smaller than pictures by it, in height and width."""
    channels: Annotated[int, Field(ge=1, le=256)] = 4
    """Channels of the latents."""
    width: Annotated[int, Field(ge=8, le=1024, multiple_of=8)] = 32
    """Channels of the network at full resolution; a level below has twice as many, at most four
    times. 32 makes about a million weights."""
    kl_weight: Annotated[float, Field(ge=0), AtMost(1, "the latents then say nothing")] = 1e-6
    """Weight of the divergence from a unit normal, summed over the numbers of an image's latent,
    beside the absolute error summed over its pixel values (as in latent diffusion)."""
    kl_start_kimg: Annotated[float, Field(ge=0), KIMG] = 10.0
    """The divergence counts from here on (kimg), when reconstruction stands: earlier it blurs."""
    total_kimg: Annotated[float, Field(gt=0), KIMG] = 100.0
    """Training length (kimg)."""
    batch_size: Annotated[int, Field(ge=2), IMAGES_AT_ONCE] = 32
    """Images per optimiser step, over all workers."""
    lr: Rate = 0.001
    """Peak learning rate of Adam."""
    lr_ramp_kimg: Annotated[float, Field(ge=0), KIMG] = 2.0
    """Linear ramp from 0 at the start (kimg)."""
    lr_decay_kimg: Annotated[float, Field(ge=0), KIMG] = 30.0
    """Start of the inverse square root decay (kimg); 0: constant rate."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: autocast of the network, for GPUs; weights, averages and losses stay fp32."""

    @property
    def latent_channels(self) -> int:
        return self.channels

    def latent_side(self, side: int) -> int:
        """The picture's over the factor."""
        return side // self.factor

    def refusal(self, side: int, channels: int | None) -> str | None:
        """Refuses a factor that does not divide the picture's side."""
        if side % self.factor == 0:
            return None
        fits = [str(factor) for factor in (2, 4, 8) if side % factor == 0]
        return (
            f".factor: {self.factor} does not divide pictures of {side}x{side} "
            f"(dataset.resolution): "
            + (f"use {' or '.join(fits)}" if fits else "use an even resolution, or kind pca")
        )

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if self.kl_weight and self.kl_start_kimg >= self.total_kimg:
            raise ValueError(
                f"kl_start_kimg: the divergence would begin at {self.kl_start_kimg:g} kimg, and "
                f"training ends at total_kimg {self.total_kimg:g}: begin earlier, or set "
                "kl_weight: 0"
            )
        return self


class LatentShape(Settings):
    """What an autoencoder makes of a picture."""

    channels: Annotated[int, Field(ge=1, le=4096)]
    """Channels of the latents."""
    factor: Annotated[int, Field(ge=1, le=1024)]
    """Latents are smaller than pictures by it, in height and width."""


class DiffusersConfig(AutoencoderConfig):
    """A trained autoencoder of the library diffusers, from a local folder; nothing is fetched."""

    kind: Literal["diffusers"] = "diffusers"
    """AutoencoderKL, AutoencoderTiny or AutoencoderDC."""
    path: Annotated[str, Field(min_length=1)]
    """Folder with config.json and .safetensors files, such as the folder vae of a pipeline."""
    latents: Annotated[LatentShape | None, Field(exclude_if=not_)] = None
    """What it makes of pictures, as {channels: 4, factor: 8}: these params can then be read before
    the folder is there, and another autoencoder is refused. null: as its config.json says. It is
    left out of what is stored where it is null."""

    @property
    def latent_channels(self) -> int:
        """As `latents`, or its config.json, says."""
        return self._shape().channels

    def latent_side(self, side: int) -> int:
        """As `latents`, or its config.json, says."""
        return side // self._shape().factor

    def _shape(self) -> LatentShape:
        if self.latents is not None:
            return self.latents
        told = read_diffusers_folder(self.path)
        return LatentShape(channels=told.latent_channels, factor=told.factor)

    def missing(self) -> str | None:
        """Says what is wrong with the folder, or that the library is not installed."""
        if find_spec("diffusers") is None:
            return ".kind: the library diffusers is not installed: pip install -e '.[diffusers]'"
        try:
            read_diffusers_folder(self.path)
        except ValueError as error:
            return f".path: {error}"
        return None

    def refusal(self, side: int, channels: int | None) -> str | None:
        """Refuses a folder without an autoencoder, and pictures that it cannot encode.

        Where `latents` says what it makes, a folder that is not there yet is not refused: `missing`
        tells that, before anything is trained.
        """
        absent = self.missing()
        if absent is not None:
            return absent if self.latents is None else _undivided(self.path, self.latents, side)
        told, shape = read_diffusers_folder(self.path), self._shape()
        found = LatentShape(channels=told.latent_channels, factor=told.factor)
        if found != shape:
            return (
                f".latents: {_words(shape)}, but {told.folder} makes {_words(found)}: set them to "
                "that, or give another folder"
            )
        undivided = _undivided(told.folder, shape, side)
        if undivided is not None:
            return undivided
        if channels is not None and channels != told.channels:
            return (
                f".path: {told.folder} is for pictures of {told.channels} channels, and these have "
                f"{channels}: set dataset.channels to {told.channels}"
            )
        return None


def _words(shape: LatentShape) -> str:
    return f"{shape.channels} channels at 1/{shape.factor} of the picture"


def _undivided(folder: object, shape: LatentShape, side: int) -> str | None:
    """A line if pictures of `side` pixels cannot be made smaller by the factor, else None."""
    if side % shape.factor == 0:
        return None
    low = side // shape.factor * shape.factor
    return (
        f".path: {folder} makes pictures {shape.factor} times smaller, which does not divide "
        f"{side}x{side}: set dataset.resolution to {f'{low} or ' if low else ''}"
        f"{low + shape.factor}"
    )


AUTOENCODERS: dict[str, type[AutoencoderConfig]] = {
    "none": NoAutoencoderConfig,
    "pca": PCAConfig,
    "kl": KLConfig,
    "diffusers": DiffusersConfig,
}

AnyAutoencoderConfig = Annotated[AutoencoderConfig, ByKind("autoencoder", AUTOENCODERS)]
"""The section `autoencoder` of params.yaml, read by the class that its kind names."""
