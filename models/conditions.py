"""What a label id means to a denoiser: from ids to the vectors that steer its U-Net.

Labels are int64 [B] everywhere, -1 where nothing is asked for; only a denoiser's conditions know
what an id stands for. A condition by text would be one file more, models/captions.py:

    class CaptionTable(nn.Module):      # buffers tokens [M, T, F], mask [M, T], pooled [M, E]
        num_classes = M                 # a label is the number of a caption
        width = E
        def embed(...): ...             # Condition(pooled[labels]), zero where the label is -1

chosen in `make_conditions` by a value `text` of ModelConfig. Its tokens would be further fields of
Condition, for attention layers in the U-Net to read. Guidance, label dropout and samplers, which
handle ids only, would stay as they are. (pooled = sqrt(K) * eye(K) is ClassConditions(K).)

Which images may be compared with which is another question: see `ImageDataset.group_labels`.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.config import ModelConfig


@dataclass(frozen=True)
class Condition:
    """What one batch is asked for, as the U-Net reads it."""

    vector: Tensor
    """[B, E], rows of unit root mean square, or of zeros where nothing is asked for."""


class Conditions(Protocol):
    """What the labels of one denoiser mean."""

    @property
    def num_classes(self) -> int:
        """Labels 0 to num_classes - 1 can be asked for; 0: the denoiser is unconditional."""
        ...

    @property
    def width(self) -> int:
        """E, the length of the vectors; 0 for an unconditional denoiser."""
        ...

    def embed(
        self, labels: Tensor | None, batch: int, device: torch.device, dtype: torch.dtype
    ) -> Condition | None:
        """The condition of labels int64 [B], None standing for -1 in all `batch` rows.

        Returns None for an unconditional denoiser, whatever the labels.
        """
        ...


class ClassConditions:
    """A label is a class: its vector is a one-hot row times sqrt(num_classes)."""

    def __init__(self, num_classes: int):
        self.num_classes = num_classes
        self.width = num_classes

    def embed(
        self, labels: Tensor | None, batch: int, device: torch.device, dtype: torch.dtype
    ) -> Condition | None:
        """One-hot rows [B, num_classes] of unit root mean square, zero where the label is -1."""
        if not self.num_classes:
            return None
        if labels is None:
            return Condition(torch.zeros(batch, self.width, device=device, dtype=dtype))
        labels = labels.to(device)
        rows = F.one_hot(labels.clamp_min(0), self.num_classes) * (labels >= 0)[:, None]
        return Condition(rows.to(dtype) * self.num_classes**0.5)


def make_conditions(config: ModelConfig, num_classes: int) -> Conditions:
    """The conditions of a denoiser of that config, for a data set of `num_classes` classes."""
    return ClassConditions(num_classes if config.class_conditional else 0)
