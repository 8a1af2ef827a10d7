"""Controls without an opponent: a distance between two laws, which the denoiser alone lessens."""

import torch
from torch import Tensor

from discriminators.bank import Bank
from discriminators.config import DiscriminatorConfig
from discriminators.form import Form, LossD
from discriminators.tangent_plane import tangent_statistics

SCALES = (0.125, 0.25, 0.5, 1.0)
"""Widths of the kernels, in parts of the median distance of real images."""
STEP = 0.1
"""Length of the step of `kernel`, whose direction alone counts: the gradient's length is
weighed elsewhere."""


class Unopposed(Form):
    """A form that learns nothing: the gate asks no accuracy of it, and no optimiser steps."""

    paired = False
    trained = False
    uses_bank = True

    def __init__(self, num_features: int, config: DiscriminatorConfig):
        super().__init__()
        self.reals: Bank | None = None
        self.fakes: Tensor | None = None

    def anchor(self, reals: Bank, fakes: Bank | None = None) -> None:
        self.reals, self.fakes = reals, None if fakes is None else fakes.features

    def neighbours(self, num_samples: int) -> int:
        return 0

    def loss_d(self, real: Tensor, fake: Tensor, labels: Tensor) -> LossD:
        """No loss; the report's "distance" is the denoiser's loss."""
        zero = real.new_zeros(())
        with torch.no_grad():
            return LossD(zero, zero, {"distance": self.loss_g(real, fake, labels)})

    def crowd(self, fake: Tensor) -> Tensor:
        """Recent fakes and those of this play, [Q + N, F], without gradient; the last N are own."""
        own = fake.detach()
        return own if self.fakes is None else torch.cat([self.fakes.to(own), own])


class LawDistance(Unopposed):
    """Squared Wasserstein-2 distance between the laws of rho, tau and delta of fakes and reals.

    Two-sided: a residual below that of reals costs as one above it. Reals and fakes have the same
    groups. Source of the statistics: discriminators/tangent_plane.py.
    """

    def __init__(self, num_features: int, config: DiscriminatorConfig):
        super().__init__(num_features, config)
        self.dims, self.points = config.tangent_dims, config.tangent_neighbours

    def neighbours(self, num_samples: int) -> int:
        return self.points

    def loss_g(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        assert self.reals is not None, "the game anchors the form first"
        found = [
            tangent_statistics(part, self.reals, self.points, self.dims).sort(0).values
            for part in (real.detach(), fake)
        ]
        return (found[1] - found[0]).square().mean(0).sum()


class KernelDistance(Unopposed):
    """Drifts each fake towards real images and away from other fakes, by Gaussian kernels.

    For each width s the field is v_i = mean_b grad k_s(f_i, b) - mean_q grad k_s(f_i, q), with b of
    the bank and q the other fakes of this play and of recent ones, over its own root mean square
    length. V is their sum, and the loss mean |f - sg(f + STEP V)|^2 has the gradient -2 STEP V / N.
    For one width, v is the negative gradient of the squared maximum mean discrepancy (Gretton et
    al. 2012), times N / 2; the sum over widths follows arXiv 2602.04770.
    """

    uses_fakes = True

    def loss_g(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        field = self.field(fake.detach())
        return (fake - (fake.detach() + STEP * field)).square().sum(1).mean()

    @torch.no_grad()
    def field(self, fake: Tensor) -> Tensor:
        """V [N, F]."""
        assert self.reals is not None, "the game anchors the form first"
        bank, others = self.reals.features.to(fake), self.crowd(fake)
        width = torch.cdist(bank[:512], bank[-512:]).median()
        total = torch.zeros_like(fake)
        for scale in SCALES:
            near = scale * width
            pull = kernel_gradient(fake, bank, near, own=0)
            push = kernel_gradient(fake, others, near, own=len(fake))
            one = pull - push
            length = one.square().sum(1).mean().sqrt()
            total += one / length.clamp_min(torch.finfo(one.dtype).tiny)
        return total


def kernel_gradient(fake: Tensor, points: Tensor, width: Tensor | float, own: int) -> Tensor:
    """Gradient by f_i of the mean of exp(-|f_i - p|^2 / 2 width^2) over the points, [N, F].

    own: how many of the last points are the fakes themselves; each leaves itself out.
    """
    weights = (-0.5 * (torch.cdist(fake, points) / width).square()).exp()  # [N, M]
    if own:
        weights[:, -own:].fill_diagonal_(0)
    count = len(points) - (1 if own else 0)
    return (weights @ points - weights.sum(1, keepdim=True) * fake) / (max(count, 1) * width**2)


class FrechetDistance(Unopposed):
    """Frechet distance of all fakes at hand to the bank, with gradient through this play's.

    |m_f - m_r|^2 + tr(S_f + S_r - 2 (S_r^1/2 S_f S_r^1/2)^1/2) of recent and own fakes (FD-loss,
    arXiv 2604.28190): moments, no edges.
    """

    uses_fakes = True

    def __init__(self, num_features: int, config: DiscriminatorConfig):
        super().__init__(num_features, config)
        self.moments: tuple[Tensor, Tensor, Tensor] | None = None

    def anchor(self, reals: Bank, fakes: Bank | None = None) -> None:
        if self.reals is not reals or self.moments is None:
            mean, covariance = _moments(reals.features.double())
            self.moments = mean, covariance, _root(covariance)
        super().anchor(reals, fakes)

    def loss_g(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        assert self.moments is not None, "the game anchors the form first"
        mean, covariance, root = self.moments
        others = self.crowd(fake)[: -len(fake)]
        own_mean, own = _moments(torch.cat([others.double(), fake.double()]))
        squares = torch.linalg.eigvalsh(root @ own @ root)
        floor = 1e-10 * covariance.diagonal().mean() ** 2
        cross = (squares.clamp_min(0) + floor).sqrt().sum()
        traces = own.diagonal().sum() + covariance.diagonal().sum()
        return ((own_mean - mean).square().sum() + traces - 2 * cross).to(fake.dtype)


def _moments(points: Tensor) -> tuple[Tensor, Tensor]:
    mean = points.mean(0)
    centred = points - mean
    return mean, centred.T @ centred / len(points)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T
