"""The denoising objective with learned uncertainty."""

from contextlib import nullcontext

import torch
from torch import Tensor

from foundation.workers import World
from models.denoiser import Denoiser
from models.layers.slot_dropout import dropout_keys
from training.batches import draw_batch
from training.run_settings import RunSettings
from training.state.train_state import TrainState


def denoising_loss(
    denoiser: Denoiser, images: Tensor, labels: Tensor, sigma: Tensor, noise: Tensor,
    forward=None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Loss of each image, with and without the learned uncertainty, each [B].

    L = weight / exp(u) * mean |D(x0 + sigma n; sigma) - x0|^2 + u with
    weight = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 (EDM, table 1; EDM2, Eq. 21), the mean
    over pixels and channels. The second value is the first term with u = 0, the plain EDM loss.
    images, noise: [B, C, H, W] in data units; sigma: [B]; labels: int64 [B].
    """
    noisy = images + sigma[:, None, None, None] * noise
    denoised = (forward or denoiser)(noisy, sigma, labels)
    weight = (sigma.square() + denoiser.sigma_data**2) / (sigma * denoiser.sigma_data).square()
    plain = weight * (denoised - images).square().mean((1, 2, 3))
    log_variance = denoiser.log_variance(sigma)
    return plain / log_variance.exp() + log_variance, plain.detach()


@torch.no_grad()
def fixed_noise_loss(
    denoiser: Denoiser, images: Tensor, labels: Tensor, sigma: Tensor, noise: Tensor,
    batch_size: int = 256,
) -> Tensor:  # fmt: skip
    """Plain denoising loss of each image [N] for given noise, in evaluation mode, in batches."""
    was_training = denoiser.training
    denoiser.eval()
    parts = [
        denoising_loss(denoiser, *(t[i : i + batch_size] for t in (images, labels, sigma, noise)))[
            1
        ]
        for i in range(0, len(images), batch_size)
    ]
    denoiser.train(was_training)
    return torch.cat(parts)


def accumulate_denoising(settings, state: TrainState, forward, dataset, world: World):
    """Backward passes of this rank's share of the global batch.

    Leaves gradients of the sum of this rank's losses over the global batch size; returns this
    rank's sums of the full and of the plain loss, float64 [2].
    """
    share = world.share(settings.train.batch_size)
    micro = settings.micro_batch or (share.stop - share.start)
    sums = torch.zeros(2, dtype=torch.float64, device=world.device)
    for start in range(share.start, share.stop, micro):
        slots = range(state.nimg + start, state.nimg + min(start + micro, share.stop))
        batch = draw_batch(settings, dataset, state.denoiser.codec, slots, world.device)
        with autocast(settings, world), dropout_keys(state.denoiser, batch.dropout):
            loss, plain = denoising_loss(
                state.denoiser, batch.images, batch.labels, batch.sigma, batch.noise, forward
            )
        (loss.sum() / settings.train.batch_size).backward()
        sums += torch.stack([loss.detach().sum(), plain.sum()]).double()
    return sums


def autocast(settings: RunSettings, world: World):
    """bf16 autocast where the settings ask for it."""
    if settings.train.precision == "bf16":
        return torch.autocast(world.device.type, dtype=torch.bfloat16)
    return nullcontext()
