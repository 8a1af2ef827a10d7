"""Training objectives as pure functions of networks and images."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.denoiser import Denoiser

Denoise = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(x [B, C, H, W], sigma [B], labels int64 [B]) -> x0 [B, C, H, W]."""


def edm_weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """(sigma^2 + sigma_data^2) / (sigma sigma_data)^2, [B] -> [B] (EDM, table 1)."""
    return (sigma.square() + sigma_data**2) / (sigma * sigma_data).square()


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
    return denoising_terms(denoiser, images, labels, sigma, noise, forward)[:2]


def denoising_terms(
    denoiser: Denoiser,
    images: Tensor,
    labels: Tensor,
    sigma: Tensor,
    noise: Tensor,
    forward: Callable[..., Tensor] | None = None,
    share: Tensor | None = None,
    perturbation: float = 0.0,
    penalty: float = 0.0,
    probe: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The two losses of `denoising_loss`, and the learned uncertainty u without gradient; each [B].

    Args:
        share: lambda [B]: L = lambda weight e / exp(sg u) + weight sg(e) / exp(u) + u. As a factor
            of weight it would teach u its own logarithm, and change no gradient of the denoiser.
        perturbation: gamma of input perturbation (arXiv 2301.11706, with x0 as the target in
            place of the noise): the input has noise sigma sqrt(1 + gamma^2), the network is told
            sigma.
        penalty: of the denoiser's gradient (below), in squared data units; the second value is
            without it.
        probe: standard normal numbers [B, C, H, W], which the penalty needs.
    """
    level = sigma * math.sqrt(1 + perturbation**2) if perturbation else sigma
    noisy = images + level[:, None, None, None] * noise
    weight = edm_weight(sigma, denoiser.sigma_data)
    if penalty:
        assert probe is not None
        denoised, size = _with_gradient_size(forward or denoiser, noisy, sigma, labels, probe)
    else:
        denoised, size = (forward or denoiser)(noisy, sigma, labels), None
    plain = weight * (denoised - images).square().mean((1, 2, 3))
    whole = plain if size is None else plain + weight * penalty * size
    log_variance = denoiser.log_variance(sigma)
    if share is None:
        loss = whole / log_variance.exp() + log_variance
    else:
        of_denoiser = share * whole / log_variance.detach().exp()
        loss = of_denoiser + whole.detach() / log_variance.exp() + log_variance
    return loss, plain.detach(), log_variance.detach()


def _with_gradient_size(
    denoise: Callable[..., Tensor], noisy: Tensor, sigma: Tensor, labels: Tensor, probe: Tensor
) -> tuple[Tensor, Tensor]:
    """D(y) [B, C, H, W], and |J v|^2 over the number of pixels and channels, [B].

    J is the transposed matrix of derivatives of D by y and v the probe, so that the mean over
    probes is the sum of the squared derivatives over the number of pixels (Hutchinson). To first
    order a penalty of lambda times it is further noise of variance lambda on the input that the
    target does not know (Bishop 1995, doi 10.1162/neco.1995.7.1.108): for data of standard
    deviation s it scales by s^2 / (s^2 + sigma^2 + lambda). The gradient has a gradient only under
    plain attention, not under its fused forms.
    """
    noisy = noisy.detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        denoised = denoise(noisy, sigma, labels)
        (gradient,) = torch.autograd.grad((denoised * probe).sum(), noisy, create_graph=True)
    return denoised, gradient.square().mean((1, 2, 3))


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


def lower_level(level: Tensor, ratio: float, stage: int) -> Tensor:
    """The lower noise level r of a pair whose upper one is t, [B] -> [B], 0 <= r < t.

    r = max(0, t (1 - (1 + 8 sigmoid(-t)) / q^(stage + 1))) with q = `ratio` (ECT, arXiv
    2406.14548, Eq. 20): at stage 0 mostly 0, later nearer and nearer to t.
    """
    gap = (1 + 8 * torch.sigmoid(-level)) / ratio ** (stage + 1)
    return (level * (1 - gap)).clamp_min(0)


def consistency_loss(
    student: Denoise,
    target: Callable[[Tensor], Tensor],
    images: Tensor,
    noise: Tensor,
    level: Tensor,
    lower: Tensor,
    labels: Tensor | None,
    sigma_data: float,
    huber: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Loss of each image, and the weighted squared error, each [B].

    With x_t = x0 + t n, e^2 the mean over pixels of (D(x_t; t) - sg(D(x_r; r)))^2 and w that of
    EDM: w e^2, or w (sqrt(e^2 + c^2) - c) with c = `huber` above 0 (arXiv 2310.14189, section 3.3).
    Where r = 0 the image itself takes the place of D(x_r; r), so that with huber = 0 it is the
    denoising loss.

    Args:
        student: gets a gradient at (x_t, t).
        target: target(x_t) -> D(x_r; r) of the frozen side; its rows with r = 0 are not used, and
            may hold anything, also NaN.
        images, noise: [B, C, H, W]; level (t), lower (r): [B]; labels: int64 [B].
    """
    noisy = images + level[:, None, None, None] * noise
    with torch.no_grad():
        wanted = torch.where((lower > 0)[:, None, None, None], target(noisy), images)
    squared = (student(noisy, level, labels) - wanted).square().mean((1, 2, 3))
    distance = (squared + huber**2).sqrt() - huber if huber else squared
    weight = edm_weight(level, sigma_data)
    return weight * distance, (weight * squared).detach()


def teacher_step(
    teacher: Denoise,
    noisy: Tensor,
    level: Tensor,
    lower: Tensor,
    labels: Tensor | None,
    heun: bool,
) -> Tensor:
    """Where the teacher's probability-flow ODE takes noisy [B, C, H, W] from `level` to `lower`.

    One Euler step of dx/dsigma = (x - D(x; sigma)) / sigma (EDM, Eq. 1), or one of Heun, whose
    second slope is taken where lower > 0.
    """
    high, low = level[:, None, None, None], lower[:, None, None, None]
    slope = (noisy - teacher(noisy, level, labels)) / high
    moved = noisy + (low - high) * slope
    if not heun:
        return moved
    inner = low > 0
    safe = torch.where(lower > 0, lower, level)  # the logarithm of 0 would be no number
    there = (moved - teacher(moved, safe, labels)) / safe[:, None, None, None]
    return torch.where(inner, noisy + (low - high) * (slope + there) / 2, moved)


@torch.no_grad()
def distribution_matching_gradient(
    images: Tensor,
    noisy: Tensor,
    sigma: Tensor,
    teacher: Denoise,
    critic: Denoise,
    labels: Tensor | None = None,
    normalise: bool = True,
) -> Tensor:
    """Direction g [B, C, H, W] such that the student's loss is |x - sg(x - g)|^2 / 2.

    C(y) - T(y), which is sigma^2 times the gradient of the divergence KL between the student's and
    the teacher's distributions of noisy images; with `normalise` divided by the mean of
    |x - T(y)| over each image (DMD, arXiv 2311.18828, Eq. 7 and 8).

    Args:
        images: the student's images x [B, C, H, W]; noisy: y = x + sigma n.
        teacher, critic: denoisers (x, sigma, labels) -> x0.
    """
    real = teacher(noisy, sigma, labels)
    difference = critic(noisy, sigma, labels) - real
    if not normalise:
        return difference
    scale = (images - real).abs().mean((1, 2, 3), keepdim=True)
    tiny = torch.finfo(scale.dtype).tiny
    return difference / scale.clamp_min(tiny)


def follow(images: Tensor, direction: Tensor) -> Tensor:
    """Loss [B] whose gradient by images is `direction` over the number of pixels.

    |x - sg(x - g)|^2 / 2, the mean over pixels and channels.
    """
    return (images - (images - direction).detach()).square().mean((1, 2, 3)) / 2


def direct_discrimination(
    student: Denoiser,
    teacher: Denoiser,
    real: tuple[Tensor, Tensor],
    drawn: tuple[Tensor, Tensor],
    sigma: Tensor,
    noise: Tensor,
    beta: float,
    alpha: float,
) -> dict[str, Tensor]:
    """Of each image [B]: "loss", and "accuracy".

    loss = softplus(-beta r(real)) + alpha softplus(beta r(drawn)), where
    r(x) = w(sigma) (|T(x + sigma n) - x|^2 - |D(x + sigma n) - x|^2), a sum over pixels and
    channels, estimates the log-likelihood ratio of student and teacher at one noise level, with w
    that of EDM (DDO, arXiv 2503.01103; the mean over levels is taken outside the logistic
    function). With the teacher itself as the student it is 0, and the loss
    (1 + alpha) log 2. accuracy: 1 where the real image has the larger r, 0.5 where both are equal.

    Args:
        real, drawn: images [B, C, H, W] and labels int64 [B]; both get the same noise.
        sigma: [B]; noise: [B, C, H, W].
    """
    weight = edm_weight(sigma, student.sigma_data)

    def ratio(images: Tensor, labels: Tensor) -> Tensor:
        noisy = images + sigma[:, None, None, None] * noise
        with torch.no_grad():
            before = (teacher(noisy, sigma, labels) - images).square().sum((1, 2, 3))
        return weight * (before - (student(noisy, sigma, labels) - images).square().sum((1, 2, 3)))

    of_real, of_drawn = ratio(*real), ratio(*drawn)
    loss = F.softplus(-beta * of_real) + alpha * F.softplus(beta * of_drawn)
    accuracy = 0.5 + 0.5 * (of_real - of_drawn).detach().sign()
    return {"loss": loss, "accuracy": accuracy}
