"""Forms beside a bank: geometry against closed forms, independence of samples, and sabotage."""

import pytest
import torch

from discriminators.bank import LOCAL, Bank
from discriminators.config import DiscriminatorConfig
from discriminators.forms import make_form
from discriminators.losses import pair_accuracy
from discriminators.tangent_plane import SOFTENING, tangent_statistics

WIDTH, DIMS = 12, 3


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bank_of(points, groups=None):
    given = torch.zeros(len(points), dtype=torch.int64) if groups is None else groups
    return Bank.of(points, given)


def plane_bank(noise=0.0, count=400):
    """Points of a plane of DIMS dimensions in a space of WIDTH, and its basis [DIMS, WIDTH]."""
    basis = torch.linalg.qr(normal(WIDTH, DIMS, seed=9)).Q.T
    return normal(count, DIMS) @ basis + noise * normal(count, WIDTH, seed=1), basis


def form(kind, **changes):
    settings = {"kind": kind, "width": 8, "k": 4, "tangent_dims": DIMS, "tangent_neighbours": 16}
    return make_form(DiscriminatorConfig(**settings | changes), WIDTH, 0).double()


def test_the_unit_is_the_distance_to_the_eighth_neighbour():
    points = normal(50, WIDTH)
    squared = torch.cdist(points, points).square()
    expected = squared.sort(1).values[:, LOCAL]
    torch.testing.assert_close(bank_of(points).unit, expected)


def test_duplicates_have_a_unit():
    bank = bank_of(torch.cat([normal(1, WIDTH).expand(20, -1), normal(30, WIDTH, seed=1)]))
    assert (bank.unit > 0).all()


def test_near_copies_leave_the_bank():
    points = normal(300, WIDTH)
    bank = bank_of(points)
    shown = torch.cat([points[7:8] + 1e-3, normal(5, WIDTH, seed=3)])
    left = bank.without_copies_of(shown)
    assert len(left) == 299 and not (left.features == points[7]).all(1).any()
    assert bank.without_copies_of(normal(60, WIDTH, seed=4)) is bank


def test_a_sample_off_the_plane_is_pulled_straight_back():
    """grad rho is parallel to the displacement, and grad tau is none."""
    points, basis = plane_bank()
    bank = bank_of(points)
    off = normal(WIDTH, seed=5)
    off = 1e-3 * (off - basis.T @ (basis @ off))
    middle = points[0]
    for _ in range(50):  # until it is the mean of its own neighbours
        middle = points[bank.nearest((middle + off)[None], 16)[0]].mean(0)
    query = (middle + off).requires_grad_()
    rho, tau, _ = tangent_statistics(query[None], bank, 16, DIMS)[0]
    (slope,) = torch.autograd.grad(rho, query, retain_graph=True)
    cosine = torch.nn.functional.cosine_similarity(slope, off, dim=0)
    assert cosine.item() == pytest.approx(1, abs=1e-6)
    (none,) = torch.autograd.grad(tau, query)
    assert none.norm() < 1e-6 * slope.norm() and slope.norm() > 1


def test_statistics_against_least_squares():
    points, _ = plane_bank(noise=0.2)
    bank, queries = bank_of(points), normal(5, WIDTH, seed=6)
    found = tangent_statistics(queries, bank, 16, DIMS)
    for query, row in zip(queries, found, strict=True):
        near = points[(points - query).square().sum(1).argsort()[:16]]
        middle = near.mean(0)
        _, sizes, directions = torch.linalg.svd(near - middle)
        plane = directions[:DIMS]
        solved = torch.linalg.lstsq(plane.T, query - middle).solution
        along = plane.T @ solved
        off = query - middle - along
        spread = sizes.square() / 16
        expected = [
            off.square().sum() / spread[DIMS:].sum(),
            along.square().sum() / spread[:DIMS].sum(),
            (near[:8] - query).square().sum(1).mean() / spread.sum(),
        ]
        torch.testing.assert_close(row, (torch.stack(expected) + SOFTENING).log())


def test_statistics_know_no_place_size_or_turn():
    points, _ = plane_bank(noise=0.2)
    queries = normal(6, WIDTH, seed=6)
    turn = torch.linalg.qr(normal(WIDTH, WIDTH, seed=7)).Q
    moved = [3.0 * part @ turn + 2.0 for part in (queries, points)]
    found = tangent_statistics(moved[0], bank_of(moved[1]), 16, DIMS)
    torch.testing.assert_close(found, tangent_statistics(queries, bank_of(points), 16, DIMS))


def test_gradients_of_gradients():
    points, _ = plane_bank(noise=0.2)
    bank = bank_of(points)
    queries = normal(2, WIDTH, seed=6).requires_grad_()
    assert torch.autograd.gradcheck(lambda q: tangent_statistics(q, bank, 16, DIMS), queries)
    assert torch.autograd.gradgradcheck(lambda q: tangent_statistics(q, bank, 16, DIMS), queries)


@pytest.mark.parametrize("kind", ["tangent", "bank", "two_bank"])
def test_each_logit_is_of_its_own_sample(kind):
    """Bit for bit at one size of batch, and whatever the order of the bank."""
    made = form(kind)
    points, _ = plane_bank(noise=0.2)
    groups = torch.arange(len(points)) % 3
    made.anchor(bank_of(points, groups), bank_of(normal(100, WIDTH, seed=8)))
    first, labels = normal(6, WIDTH, seed=2), torch.arange(6) % 3
    other = first.clone()
    other[1:] = normal(5, WIDTH, seed=3)
    assert torch.equal(made(first, labels)[0], made(other, labels)[0])
    assert not torch.equal(made(first, labels)[1:], made(other, labels)[1:])
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
    before = made(first, labels)
    made.anchor(bank_of(points[order], groups[order]), bank_of(normal(100, WIDTH, seed=8)))
    torch.testing.assert_close(made(first, labels), before, rtol=1e-9, atol=1e-12)


def test_two_banks_know_which_is_which():
    made = form("two_bank")
    points, others = normal(100, WIDTH), normal(100, WIDTH, seed=1)
    queries, labels = normal(6, WIDTH, seed=2), torch.zeros(6, dtype=torch.int64)
    made.anchor(bank_of(points), bank_of(others))
    one = made(queries, labels)
    made.anchor(bank_of(others), bank_of(points))
    assert (made(queries, labels) - one).abs().max() > 1e-6
    made.anchor(bank_of(points), None)
    assert made.banks == [] and made(queries, labels).isfinite().all()


def learned(made, real, fake, steps=150):
    """AUC on what it never learned from, after steps on halves of both sets."""
    optimizer = torch.optim.Adam(made.parameters(), lr=5e-3)
    half = len(real) // 2
    groups = torch.zeros(half, dtype=torch.int64)
    for step in range(steps):
        chosen = torch.randperm(half, generator=torch.Generator().manual_seed(step))[:64]
        result = made.loss_d(real[chosen], fake[chosen], groups[:64])
        optimizer.zero_grad()
        (result.adversarial + result.penalty).backward()
        optimizer.step()
    return pair_accuracy(made(real[half:], groups), made(fake[half:], groups), groups).item()


def sets(count=400):
    """A curved manifold of DIMS dimensions with a little noise; fakes have as much again off it."""
    axes = normal(DIMS, WIDTH, seed=20)

    def draw(n, seed):
        return torch.sin(normal(n, DIMS, seed=seed) @ axes) + 0.05 * normal(n, WIDTH, seed=seed + 1)

    fake = draw(count, 30) + 0.15 * normal(count, WIDTH, seed=40)
    return draw(2000, 10), draw(count, 20), fake


def test_tangent_sees_what_one_sample_alone_does_not_show():
    bank, real, fake = sets()
    made = form("tangent")
    made.anchor(bank_of(bank))
    seen = learned(made, real, fake)
    shuffled = form("tangent")
    columns = torch.stack([row[torch.randperm(len(row))] for row in bank.T], 1)  # no manifold left
    shuffled.anchor(bank_of(columns))
    blind = learned(shuffled, real, fake)
    assert seen > 0.8 and seen > blind + 0.1, (seen, blind)


def test_reals_that_are_in_the_bank_give_themselves_away():
    bank, _, _ = sets()
    made = form("bank")
    made.anchor(bank_of(bank))
    held_out = sets()[1]
    leak = learned(made, bank[:400], held_out, steps=80)
    fair = form("bank")
    fair.anchor(bank_of(bank[400:]))
    assert leak > 0.9 and learned(fair, bank[:400], held_out, steps=80) < 0.62


def test_a_step_down_the_loss_leads_back_to_the_data():
    """Noised samples: the gradient of the trained form points back to where they came from."""
    bank, real, _ = sets()
    clean = sets()[1].flip(0)
    noise = 0.15 * normal(*clean.shape, seed=41)
    cosines = {}
    for kind in ("tangent", "per_sample"):
        made = form(kind)
        if kind == "tangent":
            made.anchor(bank_of(bank))
        learned(made, real, clean + noise)
        leaf = (clean + noise)[200:].requires_grad_()
        groups = torch.zeros(200, dtype=torch.int64)
        (slope,) = torch.autograd.grad(made.loss_g(real[200:], leaf, groups), leaf)
        cosines[kind] = torch.nn.functional.cosine_similarity(-slope, -noise[200:], dim=1).mean()
    assert cosines["tangent"] > 0.3 and cosines["per_sample"] < 0.25, cosines


def test_a_crowd_of_copies_gives_finite_gradients():
    points = torch.cat([normal(1, WIDTH).expand(40, -1), normal(60, WIDTH, seed=1)])
    bank = bank_of(points)
    queries = (normal(1, WIDTH) + 0.1 * normal(3, WIDTH, seed=2)).requires_grad_()
    found = tangent_statistics(queries, bank, 16, DIMS)
    (slope,) = torch.autograd.grad(found.sum(), queries)
    assert found.isfinite().all() and slope.isfinite().all() and found.abs().max() < 30
    assert len(bank.without_copies_of(points[:1])) == 60  # all forty, not the nearest eight
