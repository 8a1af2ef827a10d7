"""The residual off the tangent plane, used the wrong way: it must do what it then should."""

import pytest
import torch

from discriminators.bank import Bank
from discriminators.tangent_plane import tangent_statistics
from evaluation.manifold import structure_metrics

PLANE, SPACE, POINTS, DIMS = 4, 12, 16, 4


@pytest.fixture(scope="module")
def sets():
    """A curved sheet with a little noise: the bank, other points of it, and the same smeared."""
    generator = torch.Generator().manual_seed(0)
    bend = torch.randn(PLANE, SPACE, generator=generator)

    def sheet(count):
        flat = torch.randn(count, PLANE, generator=generator)
        noise = torch.randn(count, SPACE, generator=generator)
        return flat @ bend + 0.2 * (flat @ bend).sin() + 0.05 * noise

    bank, reals, smeared = sheet(1500), sheet(400), sheet(400)
    smeared = smeared + 0.6 * torch.randn(smeared.shape, generator=generator)
    return Bank.of(bank, torch.zeros(1500, dtype=torch.int64)), reals, smeared


def dimension_ratio(reals, features):
    found = structure_metrics(reals.numpy(), features.detach().numpy(), 5)
    return found["lid_generated"] / found["lid_real"]


def moved(features, bank, sign):
    for _ in range(10):
        leaf = features.detach().requires_grad_()
        rho = tangent_statistics(leaf, bank, POINTS, DIMS)[:, 0].sum()
        (slope,) = torch.autograd.grad(rho, leaf)
        features = leaf.detach() + sign * 0.1 * slope / slope.norm(dim=1).mean()
    return features


def test_down_the_residual_dimensions_fall_and_up_it_they_grow(sets):
    bank, reals, smeared = sets
    before = dimension_ratio(reals, smeared)
    assert before > 1.15
    assert dimension_ratio(reals, moved(smeared, bank, -1)) < before - 0.05
    assert dimension_ratio(reals, moved(smeared, bank, +1)) > before + 0.05


def test_a_plane_through_all_neighbours_leaves_a_residual_in_other_units(sets):
    """With as many dimensions as the neighbours span nothing of them is left off the plane, so the
    residual is measured by the least spread alone, and says of real points that they lie far off.
    Settings refuse it."""
    bank, reals, _ = sets
    sane = tangent_statistics(reals, bank, POINTS, DIMS)[:, 0]
    none_left = tangent_statistics(reals, bank, 8, 7)[:, 0]
    assert torch.isfinite(none_left).all()
    assert none_left.median() > sane.median() + 0.7
