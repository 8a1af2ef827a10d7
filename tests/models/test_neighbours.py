import numpy as np
import pytest
import torch

import models.neighbours
from models.neighbours import nearest, nearest_in


def all_direct(queries: torch.Tensor, bank: torch.Tensor, k: int, within: bool) -> torch.Tensor:
    """Direct distances of all pairs, sorted stably: the definition of the answer, bit for bit."""
    distance = torch.cdist(queries, bank, compute_mode="donot_use_mm_for_euclid_dist")
    largest = torch.finfo(distance.dtype).max
    distance.nan_to_num_(nan=largest, posinf=largest)
    if within:
        distance.fill_diagonal_(torch.inf)
    return distance.argsort(dim=1, stable=True)[:, : min(k, len(bank) - within)]


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
    for i, j in np.ndindex(2, 3):
        assert torch.equal(together[i, j], nearest(points[i, j], 4))


@pytest.mark.parametrize("distances", [1, 50, 24 * 24, 5 * 24 * 24 + 1])
@pytest.mark.parametrize("small", [0, 1 << 19])
@pytest.mark.parametrize("columns", [4096, 17, 1])
def test_chunks_change_nothing(monkeypatch, distances, small, columns):
    monkeypatch.setattr(models.neighbours, "SMALL", small)
    monkeypatch.setattr(models.neighbours, "COLUMNS", columns)
    points = torch.randint(0, 3, (7, 50, 2), generator=torch.Generator().manual_seed(0)).float()
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
    assert not found.requires_grad and torch.equal(found, nearest(points.detach(), 2))


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


N, F = 150, 40


def hostile_sets(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Sets [N, F] on which rounding, overflow or ties may deceive a fast search."""
    g = torch.Generator().manual_seed(5)

    def normal(n=N, f=F):
        return torch.randn(n, f, dtype=dtype, generator=g)

    def whole(high, n=N, f=F):
        return torch.randint(0, high, (n, f), generator=g).to(dtype)

    x = normal()
    kind = torch.finfo(dtype)
    sphere = x / x.norm(dim=1, keepdim=True)
    clusters = 100 * normal(8).repeat_interleave(19, 0)[:N]
    outlier, holes, endless = x.clone(), x.clone(), x.clone()
    outlier[7] = 1e15
    holes[[3, 90]], holes[50, 2] = torch.nan, torch.nan
    endless[4, 1], endless[60] = torch.inf, -torch.inf
    huge = x.clone()
    huge[[5, 6]] = (kind.max / 3) ** 0.5 * torch.tensor([1.0, 1.001], dtype=dtype)[:, None]
    sets = {
        "ordinary": x,
        "lattice": whole(3, f=4),
        "line": whole(40, f=1),
        "one feature": normal(f=1),
        "pairs": normal(N // 2).repeat(2, 1),
        "twenties": normal(8).repeat(20, 1)[:N],
        "all equal": torch.full((N, F), 1 / 3, dtype=dtype),
        "all zero": torch.zeros(N, F, dtype=dtype),
        "binary": whole(2),
        "sphere and its centre": torch.cat([sphere[1:], torch.zeros(1, F, dtype=dtype)]),
        "shell": torch.cat([1e3 * sphere[1:], 1e-3 * x[:1]]),
        "clusters": clusters + 1e-4 * x,
        "close clusters": clusters + kind.eps * 300 * x,
        "outlier": outlier,
        "NaN": holes,
        "infinity": endless,
        "overflow in square": huge,
    }
    for offset in (1e4, -1e6):
        sets[f"offset {offset:g}"] = x + offset
        sets[f"lattice, offset {offset:g}"] = whole(3, f=3) + offset
    tiny = kind.tiny
    for scale in (tiny, 30 * tiny, tiny**0.5, 10 * tiny**0.5, 1e3 * tiny**0.5, kind.max**0.5 / 9):
        sets[f"scale {scale:g}"] = x * scale
        sets[f"mixed scale {scale:g}"] = torch.where(
            torch.arange(N)[:, None] % 3 == 0, x * scale, x
        )
    sets["scale of the largest number"] = x * (kind.max / 5)
    for part in (0.3, 0.1, 0.03, 0.01):
        sets[f"sphere, squares underflow {part}"] = part * tiny**0.5 * sets["sphere and its centre"]
        sets[f"sphere, sums overflow {part}"] = (kind.max * (1 - part)) ** 0.5 * sphere
    for half in (torch.float16, torch.bfloat16):
        sets[f"rounded to {half}"] = x.to(half).to(dtype)
    return sets


SETS = [(name, dtype) for dtype in (torch.float32, torch.float64) for name in hostile_sets(dtype)]


@pytest.mark.parametrize("margin, columns", [(8, 4096), (0, 4096), (8, 37)])
@pytest.mark.parametrize("name, dtype", SETS)
def test_hostile_sets_bit_for_bit(monkeypatch, name, dtype, margin, columns):
    """Also with too few candidates, which the proof must notice, and with a bank in many parts."""
    monkeypatch.setattr(models.neighbours, "SMALL", 0)
    monkeypatch.setattr(models.neighbours, "COLUMNS", columns)
    monkeypatch.setattr(models.neighbours, "MARGIN", margin)
    points = hostile_sets(dtype)[name]
    for k in (1, 5, 30, N - 2, 2 * N):
        assert torch.equal(nearest(points, k), all_direct(points, points, k, True)), k
        expected = all_direct(points[:70], points, k, False)
        assert torch.equal(nearest_in(points[:70], points, k), expected), k
    apart = hostile_sets(dtype)["ordinary"][:70] * 1.5
    if points.shape[1] == F:
        assert torch.equal(nearest_in(apart, points, 5), all_direct(apart, points, 5, False))


@pytest.mark.parametrize("seed", range(6))
def test_random_sets_bit_for_bit(seed):
    """Sets of random size, width, digits, duplicates and offset, at the sizes where they pay."""
    rng = np.random.default_rng(seed)
    n, f, k = int(rng.integers(100, 900)), int(rng.integers(1, 300)), int(rng.integers(1, 20))
    points = torch.from_numpy(rng.normal(size=(n, f)) * rng.uniform(0, 2, size=f)).float()
    points = (points * 4**seed).round() / 4**seed
    points[rng.integers(n, size=n // 5)] = points[rng.integers(n, size=n // 5)]
    points += float(10 ** rng.uniform(-3, 4)) * torch.from_numpy(rng.normal(size=f)).float()
    assert torch.equal(nearest(points, k), all_direct(points, points, k, True))
    assert torch.equal(
        nearest_in(points[::3], points, k), all_direct(points[::3], points, k, False)
    )
    sets = torch.stack([points, points.flip(0)])
    assert torch.equal(nearest(sets, k)[1], all_direct(sets[1], sets[1], k, True))


def searched(monkeypatch) -> dict[str, int]:
    """Counts rows compared with all others, and rows compared with candidates."""
    counts = {"all": 0, "candidates": 0}
    all_rows, some = models.neighbours._all_direct, models.neighbours._nearest_of

    def count_all(queries, bank, k, within, chosen=None):
        counts["all"] += len(queries if chosen is None else chosen)
        return all_rows(queries, bank, k, within, chosen)

    def count_some(queries, *rest):
        counts["candidates"] += len(queries)
        return some(queries, *rest)

    monkeypatch.setattr(models.neighbours, "_all_direct", count_all)
    monkeypatch.setattr(models.neighbours, "_nearest_of", count_some)
    return counts


def test_few_rows_of_ordinary_sets_need_direct_distances(monkeypatch):
    counts = searched(monkeypatch)
    points = torch.randn(800, 200, generator=torch.Generator().manual_seed(1))
    nearest(points, 5)
    nearest_in(points + 0.1, points, 5)
    assert counts["all"] == 0 and 0 < counts["candidates"] < 0.2 * 1600
    nearest(points + 100, 5)  # centred first
    assert counts["all"] == 0


def test_rows_that_cannot_be_proved_are_compared_with_all(monkeypatch):
    counts = searched(monkeypatch)
    points = torch.randn(800, 20, generator=torch.Generator().manual_seed(1))
    points[:60] = points[0]
    assert torch.equal(nearest(points, 5), all_direct(points, points, 5, True))
    assert 60 <= counts["all"] < 80
    monkeypatch.setattr(models.neighbours, "_num_candidates", lambda k: k + 1)  # hardly a margin
    lattice = torch.cartesian_prod(*[torch.arange(9.0)] * 3)
    assert torch.equal(nearest(lattice, 7), all_direct(lattice, lattice, 7, True))
    assert counts["all"] >= 80 + len(lattice) // 2


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_products_of_lower_precision_are_not_trusted(monkeypatch, precision):
    counts = searched(monkeypatch)
    points = torch.randn(300, 100, generator=torch.Generator().manual_seed(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        found = nearest(points, 5)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found, all_direct(points, points, 5, True)) and counts["candidates"] == 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nearest(points, 5), found)
    assert counts["candidates"] > 0  # autocast is switched off for the product, and no obstacle


def test_a_large_bank_in_parts(monkeypatch):
    g = torch.Generator().manual_seed(3)
    bank = torch.randint(-4, 5, (60_000, 16), generator=g).float()
    queries = torch.cat([bank[[50_000, 7, 59_999]], torch.randn(50, 16, generator=g)])
    expected = all_direct(queries, bank, 4, False)
    assert torch.equal(nearest_in(queries, bank, 4), expected)
    for numbers in (5_000 * 16, 2 * 16, 60_001 * 16):
        monkeypatch.setattr(models.neighbours, "BANK_NUMBERS", numbers)
        some = bank if numbers > 1000 else bank[:99]
        assert torch.equal(nearest_in(queries, some, 4), all_direct(queries, some, 4, False))
    assert expected[0, 0] <= 50_000 and torch.equal(bank[expected[:3, 0]], queries[:3])


def test_queries_and_bank_of_different_types():
    bank = torch.randn(50, 6, generator=torch.Generator().manual_seed(4))
    queries = bank[:9].double() + 1e-12
    assert torch.equal(nearest_in(queries, bank, 3), all_direct(queries, bank.double(), 3, False))
    half = bank.half()
    assert torch.equal(nearest_in(half, half, 2), all_direct(half.float(), half.float(), 2, False))
    assert not nearest_in(bank.requires_grad_(), bank, 2).requires_grad
    assert nearest_in(bank, bank, 99).shape == (50, 50)
    assert nearest_in(bank[:0], bank, 3).shape == (0, 3)
    assert nearest_in(bank, bank[:0], 3).shape == (50, 0)
    assert nearest_in(bank[:, :0], bank[:, :0], 2).tolist() == [[0, 1]] * 50


def test_bad_banks_are_an_error():
    good = torch.randn(3, 2)
    with pytest.raises(ValueError, match="bank must be a floating tensor"):
        nearest_in(good, torch.ones(3, 2, dtype=torch.int64), 1)
    with pytest.raises(ValueError, match="one width F"):
        nearest_in(good, torch.randn(3, 4), 1)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        nearest_in(good, good, 0)
