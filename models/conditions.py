"""What a label id means to a denoiser: from ids to the vectors that steer its U-Net.

Labels are int64 [B] everywhere, -1 where nothing is asked for; only a denoiser's conditions know
what an id stands for: a class, or, with `model.text`, a caption (models/captions.py), of which the
U-Net reads tokens too. Guidance, label dropout and samplers handle ids only.

Which images may be compared with which is another question: see `ImageDataset.group_labels`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.condition import Condition
from models.config import ModelConfig


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

    def describe(self) -> dict[str, Any]:
        """What loading needs of an encoder of captions, as JSON-able data; {} without one."""
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

    def describe(self) -> dict[str, Any]:
        return {}


def make_conditions(
    config: ModelConfig,
    num_classes: int,
    names: Sequence[str] = (),
    text: Mapping[str, Any] | None = None,
) -> Conditions:
    """The conditions of a denoiser of that config, for a data set of `num_classes` labels.

    names: of the labels; with `model.text` they are the captions. text: how the encoder of these
    was described with stored weights; None: a new one. Raises ValueError, in one line, where there
    are no captions, or where the encoder cannot be had.
    """
    if config.text is None:
        return ClassConditions(num_classes if config.class_conditional else 0)
    if not (num_classes and config.class_conditional):
        raise ValueError(
            "model.text needs captions, and the data set has none (or model.class_conditional is "
            "false): set dataset.captions, or model.text to null"
        )
    if not names:
        raise ValueError("model.text needs the captions of the labels, and none are given")
    return config.text.make(names, text)
