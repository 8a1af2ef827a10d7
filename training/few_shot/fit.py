"""Fits one low-rank adapter of a frozen denoiser to a few images.

Source: Yue et al., TiF (arXiv 2403.02649): one LoRA a class, trained at noise levels drawn evenly,
with no weight of the class; the weight comes in when errors are compared.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dataset.slots import slot_indices, slot_normal, slot_uniform
from models.denoiser import Denoiser, plain_copy
from models.layers.low_rank_adapter import (
    adapter_parameters,
    add_adapters,
    keep_on,
    split_adapters,
    switched_on,
)
from training.few_shot.augmentation import moved
from training.few_shot.settings import FitSettings
from training.initial_weights import drawn_by
from training.objectives import denoising_loss, edm_weight

NAME = "fitted"
"""Of the adapter while it is fitted."""


def fit_adapter(
    denoiser: Denoiser,
    images: Tensor,
    settings: FitSettings,
    *,
    seed: int = 0,
    prior: Tensor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Tensor]:
    """Tensors `LAYER.down` and `LAYER.up` of an adapter that denoises these images better.

    Minimises the denoising loss without labels at levels uniform in ln sigma over the range; what
    is shown at step t depends on (seed, t), not on the class, so classes of equally many images are
    fitted by the same noise from the same initial weights. The denoiser stays as it is. The same
    arguments on the same machine give the same tensors.

    Args:
        images: float [K, C, H, W] in data units, all of one class.
        prior: [M, C, H, W], images whose denoising should change little; read where
            settings.prior_weight is above 0.

    Raises ValueError without an image.
    """
    if not len(images):
        raise ValueError("an adapter takes one image or more")
    network = plain_copy(denoiser, shared=True).eval()
    with drawn_by("few-shot adapter", seed):
        add_adapters(network.unet, NAME, settings.rank)
    keep_on(network, NAME)
    parameters = adapter_parameters(network, NAME)
    optimiser = torch.optim.Adam(parameters, settings.lr)
    for step in range(settings.steps):
        for group in optimiser.param_groups:  # cosine from the full rate to nearly 0
            group["lr"] = settings.lr * (1 + math.cos(math.pi * step / settings.steps)) / 2
        slots = range(step * settings.batch, (step + 1) * settings.batch)
        loss = _loss(network, images, settings, seed, slots)
        if prior is not None and settings.prior_weight > 0:
            loss = loss + settings.prior_weight * _change(network, prior, settings, seed, slots)
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        if progress is not None:
            progress(step + 1, settings.steps)
    tensors = split_adapters(network.state_dict())[1][NAME]
    return {
        key: (tensor * settings.scale if key.endswith(".up") else tensor).detach().clone()
        for key, tensor in tensors.items()
    }


def levels(settings: FitSettings, seed: int, slots: range) -> Tensor:
    """Noise levels float32 [B], uniform in ln sigma."""
    low, high = map(math.log, settings.sigma_range)
    uniform = torch.from_numpy(slot_uniform(seed, "few shot/sigma", slots))
    return (low + (high - low) * uniform).exp().float()


def _drawn(images: Tensor, settings: FitSettings, seed: int, slots: range, device: torch.device):
    """(images, levels, noise) of these slots."""
    rows = torch.from_numpy(slot_indices(seed, len(images), slots))
    clean = moved(images[rows], seed, slots, flip=settings.flip, shift=settings.shift)
    noise = slot_normal(seed, "few shot/noise", slots, images.shape[1:])
    return clean.to(device), levels(settings, seed, slots).to(device), noise.to(device)


def _loss(
    network: Denoiser, images: Tensor, settings: FitSettings, seed: int, slots: range
) -> Tensor:
    """The mean denoising loss (EDM2, Eq. 21), by the denoiser's own uncertainty."""
    clean, sigma, noise = _drawn(images, settings, seed, slots, network.device)
    none = torch.full((len(clean),), -1, device=network.device)
    return denoising_loss(network, clean, none, sigma, noise)[0].mean()


def _change(
    network: Denoiser, images: Tensor, settings: FitSettings, seed: int, slots: range
) -> Tensor:
    """How far the adapter moves the answers about other images, in the units of the loss."""
    clean, sigma, noise = _drawn(images, settings, seed, slots, network.device)
    noisy = clean + sigma[:, None, None, None] * noise
    with torch.no_grad(), switched_on(network, None):
        before = network(noisy, sigma)
    moved_by = (network(noisy, sigma) - before).square().mean((1, 2, 3))
    weight = edm_weight(sigma, network.sigma_data) / network.log_variance(sigma).exp()
    return (weight * moved_by).mean()
