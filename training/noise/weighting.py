"""How much the loss at a noise level counts, where the learned uncertainty cannot undo it."""

import torch
from torch import Tensor

MIN_SNR = 5.0
P2_OFFSET, P2_POWER = 1.0, 1.0


def loss_share(weighting: str, sigma: Tensor, sigma_data: float) -> Tensor:
    """lambda(sigma), which multiplies the denoising loss at each level; same shape as sigma.

    With SNR = sigma_data^2 / sigma^2, over EDM's weight, which is proportional to SNR + 1:

    uncertainty: 1; the learned uncertainty alone decides.
    min_snr: min(SNR, 5) / (SNR + 1) (arXiv 2303.09556, section 3.4, for predictions of x0).
    p2: SNR / (SNR + 1) / (1 + SNR) (arXiv 2204.00227, Eq. 8 with k = gamma = 1, for predictions of
    the noise, whose squared error is SNR times that of x0).
    """
    if weighting == "uncertainty":
        return torch.ones_like(sigma)
    ratio = (sigma_data / sigma).square()
    if weighting == "min_snr":
        return ratio.clamp(max=MIN_SNR) / (ratio + 1)
    if weighting == "p2":
        return ratio / (ratio + 1) / (P2_OFFSET + ratio) ** P2_POWER
    raise ValueError(f"weighting {weighting!r} is none of uncertainty, min_snr, p2")
