import numpy as np
import pytest
import torch

import models.neighbours
from models.neighbours import nearest


def brute_force(points: torch.Tensor, k: int) -> torch.Tensor:
    """Sort all (squared distance, index) pairs of each point, itself left out."""
    found = []
    for i, p in enumerate(points):
        squared = ((points - p) ** 2).sum(dim=-1)
        others = sorted((float(d), j) for j, d in enumerate(squared) if j != i)
        found.append([j for _, j in others[:k]])
    return torch.tensor(found, dtype=torch.int64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n, f, k", [(40, 3, 5), (40, 100, 1), (7, 2, 6), (2, 4, 1)])
def test_equals_brute_force(n, f, k, dtype):
    points = torch.randn(n, f, dtype=dtype, generator=torch.Generator().manual_seed(n + f))
    assert torch.equal(nearest(points, k), brute_force(points.double(), k))


def test_ties_go_to_the_lower_index():
    """On a lattice of whole numbers every distance is exact and most are contested."""
    grid = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0), torch.arange(3.0))
    for k in (1, 3, 4, 9, 30):
        assert torch.equal(nearest(grid, k), brute_force(grid, k))


def test_duplicates_are_neighbours_in_index_order_and_self_is_not():
    points = torch.tensor([[0.0], [5.0], [0.0], [0.0], [5.1], [0.0]])
    assert nearest(points, 2).tolist() == [[2, 3], [4, 0], [0, 3], [0, 2], [1, 0], [0, 2]]
    same = torch.full((9, 4), 1 / 3)
    assert torch.equal(nearest(same, 3), brute_force(same, 3))


def test_each_set_of_a_batch_is_on_its_own():
    points = torch.randn(2, 3, 20, 5, generator=torch.Generator().manual_seed(0))
    together = nearest(points, 4)
    assert together.shape == (2, 3, 20, 4) and together.dtype == torch.int64
    for i in range(2):
        for j in range(3):
            assert torch.equal(together[i, j], nearest(points[i, j], 4))


@pytest.mark.parametrize("distances", [1, 50, 24 * 24, 5 * 24 * 24 + 1])
def test_chunks_change_nothing(monkeypatch, distances):
    points = torch.randint(0, 3, (7, 24, 2), generator=torch.Generator().manual_seed(0)).float()
    whole = nearest(points, 6)
    monkeypatch.setattr(models.neighbours, "MAX_DISTANCES", distances)
    assert torch.equal(nearest(points, 6), whole)


def test_k_is_cut_to_what_there_is():
    assert nearest(torch.randn(4, 2), 10).shape == (4, 3)
    assert nearest(torch.randn(1, 2), 3).shape == (1, 0)
    assert nearest(torch.randn(5, 0, 2), 3).shape == (5, 0, 0)
    assert nearest(torch.randn(0, 6, 2), 3).shape == (0, 6, 3)


def test_far_from_the_origin_small_distances_still_count():
    """The expansion |a|^2 + |b|^2 - 2ab loses all digits here."""
    points = torch.tensor([[0.0], [3.0], [1.0], [7.0]]) + 2.0**20
    assert nearest(points.expand(-1, 64).contiguous(), 1).flatten().tolist() == [2, 2, 0, 1]


def test_points_that_are_not_finite_are_nobodys_first_choice():
    points = torch.tensor([[0.0], [torch.nan], [1.0], [torch.inf], [4.0]])
    found = nearest(points, 2)
    assert found[0].tolist() == [2, 4] and found[2].tolist() == [0, 4]
    assert not (found == torch.arange(5)[:, None]).any()


def test_indices_carry_no_gradient():
    points = torch.randn(6, 3, requires_grad=True)
    found = nearest(points, 2)
    assert not found.requires_grad
    assert torch.equal(found, nearest(points.detach(), 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 40))).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest(points, 5), nearest(points.float(), 5))


@pytest.mark.parametrize("points", [torch.arange(6).reshape(3, 2), torch.randn(3)])
def test_bad_points_are_an_error(points):
    with pytest.raises(ValueError, match="floating tensor"):
        nearest(points, 1)


def test_bad_k_is_an_error():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        nearest(torch.randn(3, 2), 0)
