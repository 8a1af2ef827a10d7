"""An adversarial term without a discriminator: the channel mean of the critic's bottleneck.

Source: SiDA (Zhou et al., arXiv 2410.14919); weights of both sides: DMD2 (arXiv 2405.14867).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from models.denoiser import Denoiser


def judge(
    critic: Denoiser, noisy: Tensor, sigma: Tensor, labels: Tensor | None
) -> tuple[Tensor, Callable[..., Tensor]]:
    """What the critic says of noisy images [B, C, H, W]: logits [B, h, w], and their denoiser.

    The logit of each position of the bottleneck is the mean of its channels there; above 0 it says
    "a training image", below 0 "an image of the student". The denoiser ignores its arguments and
    decodes the same pass of the encoder, so that both cost one pass of the network.
    """
    hidden = critic.encode(noisy, sigma, labels)
    wide = torch.promote_types(hidden.bottleneck.dtype, torch.float32)
    return hidden.bottleneck.to(wide).mean(1), lambda *_: critic.decode(hidden)


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """softplus(-h_real) + softplus(h_fake), the mean over positions; [B, h, w] each -> [B].

    Its expectation is least at h = log p_real(y) - log p_fake(y), of noisy images y at one noise
    level (Goodfellow et al., arXiv 1406.2661, proposition 1).
    """
    return (F.softplus(-real) + F.softplus(fake)).mean((1, 2))


def accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """Share of the logits on the right side of 0, of both kinds; [B, h, w] each -> [B].

    0.5 is chance.
    """
    right = (real > 0).to(real.dtype) + (fake < 0).to(fake.dtype)
    return right.mean((1, 2)) / 2


def student_term(logits: Tensor, noisy: Tensor) -> tuple[Tensor, Tensor]:
    """The student's loss softplus(-h), the mean over positions, [B]; and its direction.

    The direction [B, C, H, W] is the loss's gradient by each image, times the pixels of an image,
    so that it adds to that of distribution matching inside `follow`. The critic's parameters get no
    gradient.

    Args:
        logits: of `noisy`, which requires a gradient and has no history.
    """
    loss = F.softplus(-logits).mean((1, 2))
    (gradient,) = torch.autograd.grad(loss.sum(), noisy)
    return loss.detach(), gradient * noisy[0].numel()
