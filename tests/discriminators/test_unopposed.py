"""Distances without an opponent, against closed forms."""

import numpy as np
import pytest
import scipy.linalg
import torch

from discriminators.bank import Bank
from discriminators.config import DiscriminatorConfig
from discriminators.forms import make_form
from discriminators.tangent_plane import tangent_statistics
from discriminators.unopposed import STEP, kernel_gradient

WIDTH = 6


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bank_of(points):
    return Bank.of(points, torch.zeros(len(points), dtype=torch.int64))


def form(kind):
    config = DiscriminatorConfig(kind=kind, tangent_dims=2, tangent_neighbours=12)
    made = make_form(config, WIDTH, 0)
    made.anchor(bank_of(normal(500, WIDTH)), bank_of(normal(70, WIDTH, seed=1)))
    return made


LABELS = torch.zeros(40, dtype=torch.int64)


@pytest.mark.parametrize("kind", ["law", "kernel", "fd"])
def test_nothing_learns_and_the_report_is_the_loss(kind):
    made = form(kind)
    real, fake = normal(40, WIDTH, seed=2), normal(40, WIDTH, seed=3)
    assert not list(made.parameters()) and not made.trained and not made.state_dict()
    found = made.loss_d(real, fake, LABELS)
    assert not found.adversarial and not found.penalty
    assert torch.equal(found.report["distance"], made.loss_g(real, fake, LABELS))


def test_kernels_push_down_the_discrepancy():
    """The field is N / 2 times the negative gradient of the squared discrepancy."""
    bank, fake, width = normal(200, WIDTH), normal(10, WIDTH, seed=3).requires_grad_(), 1.7

    def kernel(a, b):
        return (-0.5 * ((a[:, None] - b).square().sum(-1) / width**2)).exp()

    among = kernel(fake, fake)
    squared = (among.sum() - among.diagonal().sum()) / (10 * 9) - 2 * kernel(fake, bank).mean()
    (slope,) = torch.autograd.grad(squared, fake)
    found = fake.detach()
    field = kernel_gradient(found, bank, width, 0) - kernel_gradient(found, found, width, 10)
    torch.testing.assert_close(field, -slope * 10 / 2)


def test_the_field_of_equal_laws_is_noise_that_falls_with_the_bank():
    sizes = {}
    for count in (100, 1600):
        fields = []
        for seed in range(20):
            fake, bank = normal(30, WIDTH, seed=seed), normal(count, WIDTH, seed=100 + seed)
            others = normal(count, WIDTH, seed=200 + seed)
            field = kernel_gradient(fake, bank, 2.0, 0) - kernel_gradient(fake, others, 2.0, 0)
            fields.append(field.square().mean())
        sizes[count] = torch.stack(fields).mean().sqrt().item()
    assert sizes[100] / sizes[1600] == pytest.approx(4, rel=0.2)


def test_the_kernel_loss_steps_along_its_field():
    made = form("kernel")
    fake = (normal(40, WIDTH, seed=3) + 0.7).requires_grad_()
    (slope,) = torch.autograd.grad(made.loss_g(fake, fake, LABELS), fake)
    torch.testing.assert_close(slope, -2 * STEP * made.field(fake.detach()) / 40)
    assert (-slope).mean() < 0  # back to the bank


def test_frechet_against_scipy():
    made = form("fd")
    fake = (1.3 * normal(40, WIDTH, seed=3) + 0.2).requires_grad_()
    points, reals = torch.cat([normal(70, WIDTH, seed=1), fake.detach()]), normal(500, WIDTH)
    moments = [(p.numpy().mean(0), np.cov(p.numpy().T, ddof=0)) for p in (points, reals)]
    (mean, one), (other_mean, other) = moments
    root = scipy.linalg.sqrtm(one @ other).real
    expected = ((mean - other_mean) ** 2).sum() + np.trace(one + other - 2 * root)
    loss = made.loss_g(fake, fake, LABELS)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert torch.autograd.gradcheck(lambda f: made.loss_g(f, f, LABELS), fake)


def test_law_is_the_distance_of_quantiles():
    made, real, fake = form("law"), normal(40, WIDTH, seed=2), 1.5 * normal(40, WIDTH, seed=3)
    both = [tangent_statistics(part, made.reals, 12, 2) for part in (real, fake)]
    quantiles = [np.sort(part.numpy(), 0) for part in both]
    expected = ((quantiles[0] - quantiles[1]) ** 2).mean(0).sum()
    assert made.loss_g(real, fake, LABELS).item() == pytest.approx(expected)
    assert made.loss_g(real, real.flip(0), LABELS).item() == pytest.approx(0, abs=1e-12)
