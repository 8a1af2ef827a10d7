import math

import pytest
import torch
from sklearn.metrics import roc_auc_score

from discriminators.losses import LOSSES, gradient_penalty, pair_accuracy


def test_relativistic_values():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 0.0])
    loss_d, loss_g = LOSSES["relativistic"]
    assert loss_d(real, fake).item() == pytest.approx(
        (math.log1p(math.exp(-1)) + math.log(2)) / 2, rel=1e-6
    )
    assert loss_g(real, fake).item() == pytest.approx(
        (math.log1p(math.exp(1)) + math.log(2)) / 2, rel=1e-6
    )


def test_non_saturating_values():
    real, fake = torch.tensor([3.0]), torch.tensor([-1.0])
    loss_d, loss_g = LOSSES["non_saturating"]
    assert loss_d(real, fake).item() == pytest.approx(
        math.log1p(math.exp(-3)) + math.log1p(math.exp(-1)), rel=1e-6
    )
    assert loss_g(real, fake).item() == pytest.approx(math.log1p(math.exp(1)), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_players_pull_in_opposite_directions(name):
    loss_d, loss_g = LOSSES[name]
    real = torch.zeros(4, requires_grad=True)
    fake = torch.zeros(4, requires_grad=True)
    to_real, to_fake = torch.autograd.grad(loss_d(real, fake), [real, fake])
    assert (to_real < 0).all() and (to_fake > 0).all()  # descent raises real logits, lowers fake
    loss_g(real, fake).backward()
    assert (fake.grad < 0).all()  # descent raises fake logits
    assert real.grad is None or not real.grad.any()


def test_penalty_of_a_linear_logit_is_its_squared_slope():
    slope = torch.tensor([3.0, -4.0], requires_grad=True)
    features = torch.randn(5, 2, requires_grad=True)
    penalty = gradient_penalty(features @ slope, features)
    assert penalty.item() == pytest.approx(25.0)
    penalty.backward()  # differentiable once more, in the slope
    torch.testing.assert_close(slope.grad, 2 * slope.detach())


def test_accuracy_is_the_area_under_the_roc_curve_within_a_label():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    real = torch.randn(60, generator=generator) + 0.5
    fake = torch.randn(60, generator=generator)
    areas = [
        roc_auc_score([1] * 20 + [0] * 20, torch.cat([real[own], fake[own]]).numpy())
        for own in (labels == label for label in range(3))
    ]
    expected = sum(areas) / 3
    assert pair_accuracy(real, fake, labels).item() == pytest.approx(expected, abs=1e-6)
    # The losses compare within a label, so each label's logits may have an offset of their own.
    offset = 10.0 * labels
    assert pair_accuracy(real + offset, fake + offset, labels).item() == pytest.approx(
        expected, abs=1e-6
    )
    assert pair_accuracy(real, real, labels).item() == pytest.approx(0.5)
