"""Weights of a grey network for colour images, and the reverse."""

import math

import torch
from torch import Tensor

from models.transfer.blocks import unit_rows


def with_image_channels(tensors: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """The tensors of a grey network for colour images of `count` channels, or the reverse.

    A grey network sees the sum of colours, each in part 1 / sqrt(count), so that independent
    channels of unit magnitude keep it, and gives its answer in each of them. A colour network sees
    a grey image in each of its channels, and gives the mean of its answers. Other changes of the
    number of channels leave the tensors as they are.
    """
    first, last = tensors.get("unet.input.weight"), tensors.get("unet.output.weight")
    if first is None or last is None or len(last) == count or 1 not in (len(last), count):
        return tensors
    image, constant = first[:, :-1], first[:, -1:]
    rows = unit_rows(last.float())
    if count > 1:
        image = image.repeat(1, count, *[1] * (image.ndim - 2)) / math.sqrt(count)
        rows = rows.repeat(count, *[1] * (rows.ndim - 1))
        return tensors | {
            "unet.input.weight": torch.cat([image, constant], 1),
            "unet.output.weight": rows,
        }
    mean = rows.mean(0, keepdim=True)
    length = mean.square().mean().sqrt()  # the row is normalised, so the gain takes its length
    return tensors | {
        "unet.input.weight": torch.cat([image.sum(1, keepdim=True), constant], 1),
        "unet.output.weight": mean,
        "unet.output_gain": tensors["unet.output_gain"] * length,
    }
