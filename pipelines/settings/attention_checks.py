"""Finds levels whose channels cannot be split into the heads of attention."""

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
