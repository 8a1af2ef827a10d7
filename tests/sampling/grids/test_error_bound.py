"""The optimised grid: its bound against brute force, its search, its cache."""

import itertools
import json
import multiprocessing
import time

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from sampling.grids import error_bound, kept
from sampling.grids.closed_form import CLOSED_FORM
from sampling.grids.error_bound import truncation_bound
from sampling.grids.table import time_grid
from sampling.solvers.table import solve


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch):
    monkeypatch.setattr(kept, "_found", {})


@pytest.mark.parametrize("order", [1, 2, 3])
def test_weights_are_the_exponential_lagrange_integrals(order):
    lambdas = np.array([-4.0, -2.5, -1.1, 0.4, 2.0, 3.1])
    for steps, nodes in error_bound._stencils(len(lambdas), order):
        weights = error_bound._lagrange_weights(lambdas[None], steps, nodes)[0]
        for row, step in enumerate(steps):
            known = lambdas[nodes[row]]
            for j, here in enumerate(known):
                others = np.delete(known, j)

                def integrand(lam, here=here, others=others):
                    return np.exp(lam) * np.prod((lam - others) / (here - others))

                exact, _ = quad(integrand, lambdas[step], lambdas[step + 1], epsabs=1e-13)
                assert weights[row, j] == pytest.approx(exact, rel=1e-10)


def test_orders_climb_and_fall_as_the_solvers_do():
    """For 6 levels and a step to 0: orders 1 2 3 3 2, each from the latest evaluations."""
    used = {}
    for steps, nodes in error_bound._stencils(6, 3):
        used.update({int(step): row.tolist() for step, row in zip(steps, nodes, strict=True)})
    assert used == {0: [0], 1: [1, 0], 2: [2, 1, 0], 3: [3, 2, 1], 4: [4, 3]}


@pytest.mark.parametrize(("power", "path"), [(1.0, "edm"), (2.0, "vp"), (1.5, "flow")])
def test_first_order_bound_is_the_worst_response_of_ddim(power, path):
    """Errors of the allowed size enter one evaluation at a time; their effects at the end add."""
    sigmas = time_grid("karras", 8, 0.01, 20.0)[:-1]
    alpha = {"edm": 1 + 0 * sigmas, "vp": (1 + sigmas**2) ** -0.5, "flow": 1 / (1 + sigmas)}[path]
    allowed = (alpha * sigmas) ** power / alpha
    worst = 0.0
    for wrong in range(len(sigmas) - 1):

        def denoise(x, sigma, wrong=wrong):
            return torch.where(sigma == sigmas[wrong], allowed[wrong], 0.0).view(-1, 1, 1, 1)

        zero = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
        worst += abs(float(solve("ddim", denoise, zero, sigmas)))
    bound = truncation_bound(sigmas.numpy(), order=1, power=power, path=path)
    assert bound == pytest.approx(worst, rel=1e-10)


@pytest.mark.parametrize("order", [2, 3])
def test_errors_of_early_steps_do_not_cancel(order):
    sigmas = time_grid("log_snr", 8, 0.01, 20.0).numpy()
    bounds = [truncation_bound(sigmas, order=order, truncation=n) for n in range(9)]
    assert all(less <= more + 1e-12 for less, more in itertools.pairwise(bounds))
    assert bounds[0] < bounds[-1]


def test_slope_by_complex_steps_is_the_slope():
    lambdas = -np.log(time_grid("karras", 7, 0.01, 20.0).numpy()[:-1])
    setting = (3, 2.0, 3, "vp")
    for index in range(1, 6):
        moved = lambdas.astype(complex)
        moved[index] += 1e-30j
        slope = error_bound._bound(moved[None], *setting)[0].imag / 1e-30
        ends = []
        for sign in (-1, 1):
            shifted = lambdas.copy()
            shifted[index] += sign * 1e-6
            ends.append(error_bound._bound(shifted[None], *setting)[0])
        assert slope == pytest.approx((ends[1] - ends[0]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(
    ("order", "power", "truncation", "path"),
    [(3, 2.0, 3, "vp"), (2, 1.0, 0, "edm"), (1, 1.0, 0, "edm")],
)
def test_never_above_any_other_grid(order, power, truncation, path):
    options = {"order": order, "power": power, "truncation": truncation, "path": path}
    best = truncation_bound(
        time_grid("optimized", 6, 0.002, 80.0, starts=2, **options).numpy(), **options
    )
    for name in CLOSED_FORM:
        other = truncation_bound(time_grid(name, 6, 0.002, 80.0).numpy(), **options)
        assert best <= other * (1 + 1e-12), name
    for rho in (3.0, 5.0, 10.0):
        other = time_grid("karras", 6, 0.002, 80.0, rho=rho).numpy()
        assert best <= truncation_bound(other, **options)


def test_first_order_optimum_is_uniform_in_log_sigma():
    """sum sigma_i (1/sigma_{i+1} - 1/sigma_i) is least at equal ratios: a closed form."""
    found = time_grid("optimized", 6, 0.01, 20.0, order=1, power=1.0, path="edm", starts=0)
    torch.testing.assert_close(found, time_grid("log_snr", 6, 0.01, 20.0), rtol=1e-3, atol=0)


def test_is_cached_in_memory_and_on_disk(tmp_path, monkeypatch):
    setting = ("optimized", 5, 0.01, 20.0)
    first = time_grid(*setting, starts=0, cache_dir=tmp_path)

    def search(*arguments):
        raise AssertionError("searched again")

    monkeypatch.setattr(error_bound, "_search", search)
    assert torch.equal(time_grid(*setting, starts=0), first)  # memory
    monkeypatch.setattr(kept, "_found", {})
    assert torch.equal(time_grid(*setting, starts=0, cache_dir=tmp_path), first)  # disk
    with pytest.raises(AssertionError, match="searched again"):
        time_grid(*setting, starts=0, order=2, cache_dir=tmp_path)


def test_a_damaged_cache_file_is_replaced(tmp_path, monkeypatch):
    setting = ("optimized", 5, 0.01, 20.0)
    first = time_grid(*setting, starts=0, cache_dir=tmp_path)
    (file,) = tmp_path.glob("*.json")
    whole = file.read_text()
    turned = whole.replace(whole[whole.index(".") + 6], "x", 1).replace("x", "0", 1)
    assert turned != whole and len(json.loads(turned)["sigmas"]) == 5
    for content in ("", "{}", '{"sigmas": [1.0, 2.0]}', '{"sigmas": "no"}', turned):
        file.write_text(content)
        monkeypatch.setattr(kept, "_found", {})
        assert torch.equal(time_grid(*setting, starts=0, cache_dir=tmp_path), first)
    assert len(json.loads(file.read_text())["sigmas"]) == 5


def test_a_folder_that_cannot_be_written_costs_no_grid(tmp_path):
    (tmp_path / "file").write_text("")
    setting = ("optimized", 5, 0.02, 20.0)
    with pytest.warns(UserWarning, match="not kept for the next time: .*file"):
        found = time_grid(*setting, starts=0, cache_dir=tmp_path / "file" / "grids")
    assert torch.equal(found, time_grid(*setting, starts=0))


def _wanted_by_many(cache_dir, searches, results, ready):
    """One process of several that want the same grid at the same time."""

    def search(starts, setting, random_starts):
        with open(searches, "a") as stream:
            stream.write("searched\n")
        time.sleep(0.5)  # time enough for the others to begin
        return starts[0]

    error_bound._search, kept._found = search, {}
    ready.wait()
    found = time_grid("optimized", 5, 0.01, 20.0, starts=0, cache_dir=cache_dir)
    results.put(found.tolist())


def test_processes_that_want_the_same_grid_search_it_once(tmp_path):
    context = multiprocessing.get_context("fork")
    results, ready = context.Queue(), context.Barrier(3)
    searches, cache = tmp_path / "searches", tmp_path / "grids"
    arguments = (cache, searches, results, ready)
    processes = [context.Process(target=_wanted_by_many, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert searches.read_text().count("searched") == 1
    assert found[0] == found[1] == found[2]
    (file,) = cache.glob("*.json")
    assert json.loads(file.read_text())["sigmas"] == pytest.approx(found[0][:-1])
