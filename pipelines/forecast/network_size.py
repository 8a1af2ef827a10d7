"""How large a denoiser is, and what one evaluation costs, counted without making its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.captions import CaptionTable
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.low_rank_adapter import adapter_parameters
from models.text_encoders.configs import TextConfig

STATE = 4 + 4 + 2 * 4 + 2 * 4
"""Bytes that training keeps for each parameter, all in fp32: the weight, its gradient, two moments
of Adam (Muon keeps one of a matrix), two tracked averages."""


@dataclass(frozen=True)
class NetworkSize:
    """What is counted of a denoiser."""

    parameters: int
    """Of the denoiser, without its adapter; a learned table of words does not count."""
    adapter: int
    """Parameters of its adapter."""
    flop: int
    """Floating-point operations of one evaluation of one image, two for each multiply-add."""

    @property
    def state_bytes(self) -> int:
        """What training keeps in each worker for the denoiser, without activations."""
        return STATE * (self.parameters + self.adapter)


class _UnreadText(TextConfig):
    """Stands for an encoder of captions that is not read: one caption of so many tokens."""

    kind: str = "unread"
    width: int

    def make(self, captions: Sequence[str], text: Mapping[str, Any] | None) -> CaptionTable:
        tokens = torch.zeros(1, self.tokens, self.width)
        return CaptionTable(tokens, torch.zeros(tokens.shape[:2], dtype=torch.bool), tokens[:, 0])


def network_size(
    config: ModelConfig, image_shape: tuple[int, int, int], num_classes: int, text_width: int = 0
) -> NetworkSize:
    """Counts a denoiser of these settings on the meta device, which takes no memory.

    Operations are those of convolutions, products of matrices and attention, with captions of
    model.text.tokens tokens. What works on each number by itself does not count, nor does the
    search for neighbours of graph_conv.

    Args:
        image_shape: (C, H, W) of what the denoiser sees.
        num_classes: of the data set; it counts where the denoiser is conditioned on classes.
        text_width: length of the vectors of model.text, where it is set.
    """
    if config.text is not None:
        text = _UnreadText(
            tokens=config.text.tokens, resolutions=config.text.resolutions, width=text_width
        )
        config, num_classes = config.model_copy(update={"text": text}), 1
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad():
        denoiser = Denoiser(image_shape, num_classes, config, label_names=["-"] * num_classes)
        noisy, sigma = torch.empty(1, *image_shape), torch.empty(1)
        with counter:
            denoiser(noisy, sigma)
    every = sum(parameter.numel() for parameter in denoiser.parameters())
    adapter = sum(parameter.numel() for parameter in adapter_parameters(denoiser))
    return NetworkSize(every - adapter, adapter, counter.get_total_flops())
