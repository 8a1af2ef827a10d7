"""Mirrors and moves images, each by draws of its own slot."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dataset.slots import slot_uniform


def moved(images: Tensor, seed: int, slots: range, *, flip: bool, shift: int) -> Tensor:
    """The images [B, C, H, W], half of them mirrored, moved by up to `shift` pixels each way.

    What a move uncovers repeats the border. How image b is moved depends on (seed, slots[b]) alone.
    """
    if flip:
        mirrored = torch.from_numpy(slot_uniform(seed, "few shot/flip", slots) < 0.5)
        mirrored = mirrored.to(images.device)[:, None, None, None]
        images = torch.where(mirrored, images.flip(3), images)
    if shift:
        height, width = images.shape[2:]
        wide = F.pad(images, (shift,) * 4, mode="replicate")
        down, right = (
            np.floor(slot_uniform(seed, f"few shot/{way}", slots) * (2 * shift + 1)).astype(int)
            for way in ("down", "right")
        )
        images = torch.stack(
            [
                one[:, top : top + height, left : left + width]
                for one, top, left in zip(wide, down, right, strict=True)
            ]
        )
    return images
