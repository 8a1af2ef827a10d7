"""Training objectives as pure functions of networks and images."""

from collections.abc import Callable

import torch
from torch import Tensor

from models.denoiser import Denoiser


def denoising_loss(
    denoiser: Denoiser,
    images: Tensor,
    labels: Tensor,
    sigma: Tensor,
    noise: Tensor,
    forward: Callable[..., Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
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
    denoiser: Denoiser,
    images: Tensor,
    labels: Tensor,
    sigma: Tensor,
    noise: Tensor,
    batch_size: int = 256,
) -> Tensor:
    """Plain denoising loss of each image [N] for given noise, in evaluation mode, in batches."""
    was_training = denoiser.training
    denoiser.eval()
    parts = []
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        _, plain = denoising_loss(denoiser, images[rows], labels[rows], sigma[rows], noise[rows])
        parts.append(plain)
    denoiser.train(was_training)
    return torch.cat(parts)
