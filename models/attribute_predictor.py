"""Predicts an attribute of a noisy image from the denoiser's bottleneck."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from models.attribute_bank import AttributeBank
from models.layers.magnitude_preserving import MPFourier
from models.weights import WeightsError, load_tensors, save_weights, tensors_hash, whole

if TYPE_CHECKING:
    from models.denoiser import Denoiser, Hidden

KIND = "attribute_predictor"
"""What the JSON beside its weights says that they are."""
CLOCK = 32
"""Features of the noise level."""
LOWEST, HIGHEST, BINS = 0.002, 80.0, 8
"""Noise levels between which there is a temperature for each of BINS ranges of ln sigma."""
Place = TypeVar("Place", float, np.ndarray)


class AttributePredictor(nn.Module):
    """Logits of p_sigma(value | x) for the values of one attribute, which exclude one another.

    The bottleneck is averaged over a grid of cells; its channels are scaled by a learned function
    of ln sigma; a linear map, or an MLP, gives the logits, and another function of ln sigma is
    added. They are divided by a temperature that was fitted for each range of sigma.

    A predictor may have a `bank` of training images. It then answers where noise is large, which
    a denoiser's hidden state was hardly trained for (`log_probs`).

    Args:
        shape: (C, h, w) of the denoiser's bottleneck.
        names: of the values.
        layers: 1 is linear; up to 3.
        width: of the hidden layers.
        cells: side of the grid over which the bottleneck is averaged, at most h and w.
    """

    temperatures: Tensor  # [BINS]
    prior: Tensor  # [A], the mean prediction at HIGHEST, or the bank's
    bank: AttributeBank | None

    def __init__(
        self,
        shape: tuple[int, int, int],
        names: Sequence[str],
        layers: int = 1,
        width: int = 64,
        cells: int = 2,
    ):
        super().__init__()
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"an attribute needs two values of different names, not {list(names)}")
        if not 1 <= layers <= 3:
            raise ValueError(f"layers is {layers}: 1 (linear) to 3 can be used")
        self.shape, self.names = shape, tuple(names)
        self.bank = None
        self.layers, self.width = layers, width
        self.cells = min(cells, *shape[1:])
        self.clock = MPFourier(CLOCK)
        self.scale = nn.Linear(CLOCK, shape[0])
        self.bias = nn.Linear(CLOCK, len(names), bias=False)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)
        nn.init.zeros_(self.bias.weight)
        sizes = [shape[0] * self.cells**2, *[width] * (layers - 1)]
        hidden: list[nn.Module] = []
        for size, wide in pairwise(sizes):
            hidden += [nn.Linear(size, wide), nn.SiLU()]
        self.hidden = nn.Sequential(*hidden)
        self.last = nn.Linear(sizes[-1], len(names))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.register_buffer("temperatures", torch.ones(BINS))
        self.register_buffer("prior", torch.full((len(names),), 1 / len(names)))

    def forward(self, hidden: "Hidden") -> Tensor:
        """Calibrated logits [B, A] from the state of the denoiser's `encode`."""
        raw = self.raw(hidden.bottleneck, hidden.sigma)
        return raw / self.temperatures[bins(hidden.sigma).to(raw.device)].to(raw)[:, None]

    def log_probs(self, denoiser: Any, x: Tensor, sigma: Tensor) -> Tensor:
        """log p_sigma(value | x), [B, A], differentiable in x [B, C, H, W]; sigma [B].

        By the bank where it is trusted, by the hidden state elsewhere; between both the
        log-probabilities are mixed.
        """
        bank = self.bank
        if bank is None or not (trust := bank.trust(sigma)[:, None]).any():
            return self(denoiser.encode(x, sigma, None)).log_softmax(1)
        known = bank.log_probs(x, sigma)
        if bool((trust == 1).all()):
            return known
        own = self(denoiser.encode(x, sigma, None)).log_softmax(1)
        return (trust * known + (1 - trust) * own).log_softmax(1)

    def raw(self, bottleneck: Tensor, sigma: Tensor) -> Tensor:
        """Logits [B, A] before the temperature; bottleneck [B, C, h, w], sigma [B]."""
        weight = self.last.weight
        time = self.clock(sigma.to(weight).log() / 4.0).to(weight)
        scaled = bottleneck.to(weight) * (1 + self.scale(time))[:, :, None, None]
        cells = nn.functional.adaptive_avg_pool2d(scaled, self.cells).flatten(1)
        return self.last(self.hidden(cells)) + self.bias(time)


def bins(sigma: Tensor) -> Tensor:
    """The range of ln sigma that each level lies in, int64 [B]; levels outside: the nearest."""
    place = (sigma.double().clamp(LOWEST, HIGHEST) / LOWEST).log() / math.log(HIGHEST / LOWEST)
    return (place * BINS).long().clamp(0, BINS - 1)


def level(place: Place) -> Place:
    """The noise level at a place among the ranges: 0 the lowest, 1 the end of the first range."""
    return LOWEST * (HIGHEST / LOWEST) ** (place / BINS)


class AttributeOfImages:
    """A predictor with its denoiser: what noisy images, or hidden states, say of the attribute.

    Raises ValueError where the predictor was trained on another denoiser.
    """

    def __init__(self, denoiser: "Denoiser", predictor: AttributePredictor, denoiser_hash: str):
        own = tensors_hash(denoiser.state_dict())
        if denoiser_hash != own:
            raise ValueError(
                f"the attribute predictor is of another denoiser ({denoiser_hash[:12]}..., this is "
                f"{own[:12]}...): make one for this, python -m pipelines.attributes"
            )
        self.denoiser, self.predictor = denoiser, predictor

    @property
    def names(self) -> tuple[str, ...]:
        """Of the values."""
        return self.predictor.names

    @property
    def prior(self) -> Tensor:
        """Share of each value before anything is seen, [A]."""
        return self.predictor.prior

    def log_probs(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p_sigma(value | x), [B, A], differentiable in x.

        Whatever the labels: the predictor has learned from states of unlabelled images, and its
        prior is theirs.
        """
        return self.predictor.log_probs(self.denoiser, x, sigma)

    def of_hidden(self, hidden: "Hidden") -> Tensor:
        """What the state of `encode` alone says, differentiable in its bottleneck."""
        return self.predictor(hidden).log_softmax(1)


def save_attribute_predictor(
    path: Path, network: AttributePredictor, denoiser_hash: str, training: Mapping[str, Any]
) -> None:
    """Write its weights and their JSON. training: facts of it that a reader should know."""
    description = {
        "kind": KIND,
        "shape": list(network.shape),
        "names": list(network.names),
        "layers": network.layers,
        "width": network.width,
        "cells": network.cells,
        "bank": None if network.bank is None else list(network.bank.images.shape),
        "denoiser": denoiser_hash,
        "training": dict(training),
    }
    save_weights(path, network.state_dict(), description)


def load_attribute_predictor(path: Path) -> tuple[AttributePredictor, str]:
    """A frozen predictor, and the hash of its denoiser. Raises WeightsError, naming the file."""
    tensors, about = load_tensors(path)
    try:
        if about.get("kind") != KIND:
            raise ValueError("it holds no attribute predictor")
        channels, height, width = about["shape"]
        network = AttributePredictor(
            (int(channels), int(height), int(width)),
            [str(name) for name in about["names"]],
            whole(about, "layers", 1, 3),
            whole(about, "width", 1, 65_536),
            whole(about, "cells", 1, 1024),
        )
        if about.get("bank") is not None:
            count, size = (int(number) for number in about["bank"])
            own = tensors["bank.images"].shape
            if own != (count, size):
                raise ValueError(f"its bank is {tuple(own)}, and {(count, size)} is said of it")
            network.bank = AttributeBank.empty(count, size, len(network.names))
        network.load_state_dict(tensors)
        denoiser = str(about["denoiser"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path} does not describe an attribute predictor of this version: {str(error)[:200]}"
        ) from error
    return network.eval().requires_grad_(False), denoiser
