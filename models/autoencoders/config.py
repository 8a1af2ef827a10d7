"""Settings of the autoencoders, by kind; importing them does not import torch.

A kind is a network in a file of its own (models/autoencoder.py lists them), a class of settings
here with one entry in AUTOENCODERS, and a way to its weights, which the stage `autoencoder` knows.
"""

from typing import Annotated, Literal

from pydantic import Field

from foundation.settings_base import Settings
from foundation.settings_by_kind import ByKind


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


AUTOENCODERS: dict[str, type[AutoencoderConfig]] = {
    "none": NoAutoencoderConfig,
    "pca": PCAConfig,
}

AnyAutoencoderConfig = Annotated[AutoencoderConfig, ByKind("autoencoder", AUTOENCODERS)]
"""The section `autoencoder` of params.yaml, read by the class that its kind names."""
