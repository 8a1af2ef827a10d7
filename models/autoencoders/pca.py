"""Principal components of patches: an orthonormal linear autoencoder.

A patch of p x p pixels and C channels is a vector x of p p C numbers; its latent is z = U (x - m),
where the rows of U are the c leading eigenvectors of the covariance of the training images' patches
and m is their mean. Encoding is a convolution of stride p, decoding x = U^T z + m its transpose.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.autoencoders.base import Autoencoder, Moments


class PCAAutoencoder(Autoencoder):
    """Encodes each patch by its principal components; the standard deviation is 0."""

    kind = "pca"
    in_bands = True
    components: Tensor  # [c, C, p, p], orthonormal rows
    patch_mean: Tensor  # [C, p, p]

    def __init__(self, channels: int, latent_channels: int, factor: int):
        super().__init__(channels, latent_channels, factor)
        self.register_buffer("components", torch.zeros(latent_channels, channels, factor, factor))
        self.register_buffer("patch_mean", torch.zeros(channels, factor, factor))

    def encode(self, images: Tensor) -> Moments:
        """z = U (x - m) of each patch, [B, c, H/p, W/p]."""
        kernel = self.components.to(images.dtype)
        shift = (kernel * self.patch_mean.to(kernel)).sum((1, 2, 3))  # [c], U m
        mean = F.conv2d(images, kernel, -shift, stride=kernel.shape[-1])
        return Moments(mean, torch.zeros_like(mean))

    def decode(self, latents: Tensor) -> Tensor:
        """x = U^T z + m, clamped to [-1, 1]."""
        kernel = self.components.to(latents.dtype)
        side = kernel.shape[-1]
        images = F.conv_transpose2d(latents, kernel, stride=side)
        height, width = latents.shape[-2:]
        mean = self.patch_mean.to(images).repeat(1, height, width)  # [C, H, W]
        return (images + mean).clamp(-1, 1)

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> float:
        """Compute mean and components from pictures [B, C, H, W]; returns the variance explained.

        That is the share of the patches' variance which the kept components carry. Eigenvectors of
        the covariance in float64; the largest entry of each is positive, so that the result does
        not depend on the eigensolver's choice of sign.
        """
        side = self.components.shape[-1]
        count, total, square = 0, torch.zeros(()), torch.zeros(())
        for images in batches:
            patches = F.unfold(images.double().cpu(), side, stride=side)  # [B, Cpp, patches]
            rows = patches.transpose(1, 2).flatten(0, 1)  # [n, Cpp]
            count, total, square = count + len(rows), total + rows.sum(0), square + rows.T @ rows
        mean = total / count
        values, vectors = torch.linalg.eigh(square / count - torch.outer(mean, mean))
        kept = vectors.flip(1).T[: len(self.components)]  # [c, Cpp], largest variance first
        signs = kept.gather(1, kept.abs().argmax(1, keepdim=True)).sign()
        self.components.copy_((kept * signs).view_as(self.components))
        self.patch_mean.copy_(mean.view_as(self.patch_mean))
        return float(values.flip(0)[: len(kept)].sum() / values.sum().clamp_min(1e-30))
