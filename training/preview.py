"""A glance at the samples of the running average, while training goes on."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from dataset.pixels import to_uint8
from dataset.store import ImageDataset
from models.denoiser import Denoiser
from models.layers.low_rank_adapter import adapter_parameters
from sampling.config import SamplerConfig
from sampling.generate import generate
from training.settings import RunSettings
from training.state import TrainState

COUNT = 40
SAMPLER = SamplerConfig(solver="heun", grid="karras", steps=12)


def ema_denoiser(state: TrainState, sigma_rel: float) -> Denoiser:
    """A frozen copy of the denoiser with the averaged weights of one tracked length."""
    frozen = copy.deepcopy(state.denoiser).eval().requires_grad_(False)
    frozen.load_state_dict(state.ema.state(sigma_rel), strict=False)
    return frozen


@contextmanager
def averaged(state: TrainState, sigma_rel: float) -> Iterator[None]:
    """Inside, the network in training bears the averaged weights; its adapter keeps its own.

    Nothing is copied, and its parameters remain the same objects.
    """
    own = {id(parameter) for parameter in adapter_parameters(state.denoiser)}
    means = state.ema.state(sigma_rel)
    pairs = [(p, means[n]) for n, p in state.denoiser.named_parameters() if id(p) not in own]
    kept = [parameter.data for parameter, _ in pairs]
    for parameter, mean in pairs:
        parameter.data = mean.to(parameter.dtype)
    try:
        yield
    finally:
        for (parameter, _), data in zip(pairs, kept, strict=True):
            parameter.data = data


def preview(
    settings: RunSettings, state: TrainState, dataset: ImageDataset, device: torch.device
) -> dict:
    """The "samples" event: the same seeds and labels at every call, uint8 [N, H, W, C].

    Draws from its own generators only, so it leaves no trace in training.
    """
    sigma_rel = settings.ema.tracked[0]
    denoiser = ema_denoiser(state, sigma_rel)
    classes = denoiser.num_classes
    labels = torch.arange(COUNT) % classes if classes else torch.full((COUNT,), -1)
    images = generate(denoiser, SAMPLER, settings.seed, range(COUNT), labels, device=device)
    images = images if torch.is_tensor(images) else torch.cat(list(images))
    return {"kind": "samples", "nimg": state.nimg, "sigma_rel": sigma_rel,
            "images": np.asarray(to_uint8(images))}  # fmt: skip
