"""How far a denoiser's answers lie from the clean image, at given noise levels and noise."""

from collections.abc import Callable

import torch
from torch import Tensor

AT_ONCE = 1 << 17
"""Numbers of noise in one call of the denoiser (512 images of 16x16), which bound the memory."""


@torch.no_grad()
def denoising_errors(
    denoiser: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    images: Tensor,
    labels: Tensor | None,
    sigmas: Tensor,
    noise: Tensor,
    at_once: int = AT_ONCE,
) -> Tensor:
    """|D(x0 + sigma n; sigma, label) - x0|^2, summed over pixels, [N, S] on the images' device.

    With exact denoisers of classes, log p(x0 | c) = const - integral of E[error] / sigma^2 d ln
    sigma (Guo, Shamai and Verdu, "Mutual information and MMSE", 2005; per image: Kong et al.,
    arXiv 2302.03792).

    Args:
        denoiser: (x [B, C, H, W], sigma [B], labels) -> x0; it is called with B at most `at_once`
            over the numbers of an image, on its own `device` where it has one.
        images: [N, C, H, W] in data units.
        labels: int64 [N], -1 unconditional; None: all.
        sigmas: [S], data units.
        noise: unit normal [S, N, C, H, W]; an expanded view is not copied whole.

    Raises ValueError for noise of another shape.
    """
    count, levels = len(images), len(sigmas)
    if noise.shape != (levels, *images.shape):
        raise ValueError(
            f"noise is {list(noise.shape)}, and {levels} levels of images {list(images.shape)} "
            f"take {[levels, *images.shape]}"
        )
    device = getattr(denoiser, "device", images.device)
    step = max(1, at_once // max(1, images[:1].numel()))
    errors = []
    for pairs in torch.arange(levels * count, device=images.device).split(step):
        level, image = pairs // count, pairs % count
        clean = images[image].to(device)
        sigma = sigmas.to(images)[level].to(device)
        noisy = clean + sigma[:, None, None, None] * noise[level, image].to(clean)
        denoised = denoiser(noisy, sigma, None if labels is None else labels[image].to(device))
        errors.append((denoised - clean).square().flatten(1).sum(1).to(images.device))
    if not errors:
        return images.new_zeros(count, levels)
    return torch.cat(errors).view(levels, count).T
