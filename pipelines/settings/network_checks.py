"""Finds images and channels that the network cannot divide."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.config import ModelConfig


def undivided_heads(
    model: "ModelConfig", sides: list[int], resolutions: Collection[int], where: str = ""
) -> Iterator[str]:
    """One line for each level of `resolutions` (pixels) whose heads do not divide its channels.

    sides: of the levels. where: what the line says of the resolutions, in brackets.
    """
    for width, mult in zip(sides, model.channel_mult, strict=True):
        channels = model.channels * mult
        heads = max(1, channels // model.channels_per_head)
        if width in resolutions and channels % heads:
            yield (
                f"model.channels_per_head: {model.channels_per_head} makes {heads} attention "
                f"heads of the {channels} channels at {width} pixels{where}, "
                "which they do not divide: change one"
            )


def undivided_images(model: "ModelConfig", side: int, resolution: int) -> str | None:
    """The line for images that the network's levels or patches do not divide; None: they do.

    side: of what the denoiser sees, latents or the pixels of dataset.resolution.
    """
    factor = model.divisor
    if side % factor == 0:
        return None
    if model.backbone == "transformer":
        key, how = "model.patch", f"cut into patches of {factor} (model.patch)"
        mend = "another patch"
    else:
        halvings = len(model.channel_mult) - 1
        key = "model.channel_mult"
        how = f"halved {halvings} times for the {halvings + 1} levels of model.channel_mult"
        mend = "fewer levels"
    low = side // factor * factor
    if side != resolution:
        return (
            f"{key}: the latents of {side}x{side} (dataset.resolution over the autoencoder's "
            f"factor) cannot be {how}: use {mend}, or a smaller factor"
        )
    near = f"{low} or " if low else ""
    return f"dataset.resolution: {side} cannot be {how}: use {near}{low + factor}, or {mend}"
