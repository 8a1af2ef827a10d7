"""Time grids: the contract for every one, and each formula against its own definition."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from models.noise_paths import LinearVP
from sampling.grids.closed_form import CLOSED_FORM
from sampling.grids.levels import check_sigmas
from sampling.grids.table import GRIDS, time_grid

SETTINGS_ALONE = [name for name in GRIDS if name not in ("explicit", "fitted")]
OPTIONS = {"optimized": {"starts": 0}}


@pytest.mark.parametrize("name", SETTINGS_ALONE)
@pytest.mark.parametrize("steps", [2, 5])
@pytest.mark.parametrize(("low", "high"), [(0.002, 80.0), (0.02, 3.0)])
def test_every_grid_keeps_the_contract(name, steps, low, high):
    sigmas = time_grid(name, steps, low, high, **OPTIONS.get(name, {}))
    assert sigmas.dtype == torch.float64 and sigmas.shape == (steps + 1,)
    assert sigmas[0] == high and sigmas[-2] == low and sigmas[-1] == 0
    assert bool((sigmas.diff() < 0).all())


@pytest.mark.parametrize("name", [name for name in GRIDS if name != "explicit"])
def test_a_single_step_leads_from_the_top_to_zero(name, tmp_path):
    """It does not visit sigma_min, which may then be any level up to sigma_max."""
    for low in (0.002, 80.0):
        options = {"cache_dir": tmp_path} if name == "optimized" else {}
        sigmas = time_grid(name, 1, low, 80.0, **options)
        assert sigmas.dtype == torch.float64 and sigmas.tolist() == [80.0, 0.0]


def test_a_single_explicit_level():
    for given in ([5.0], [5.0, 0.0]):
        for low in (0.1, 5.0):
            assert time_grid("explicit", 1, low, 5.0, sigmas=given).tolist() == [5.0, 0.0]


@pytest.mark.parametrize("name", list(CLOSED_FORM))
def test_closed_forms_stay_strict_on_long_grids(name):
    check_sigmas(time_grid(name, 1000, 0.002, 80.0))


@pytest.mark.parametrize("rho", [7.0, 3.0])
def test_karras_is_equation_5(rho):
    sigmas = time_grid("karras", 18, 0.002, 80.0, rho=rho)
    for i in range(18):
        root = 80 ** (1 / rho) + i / 17 * (0.002 ** (1 / rho) - 80 ** (1 / rho))
        assert float(sigmas[i]) == pytest.approx(root**rho, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("log_snr", torch.log),
        ("vp_time", lambda sigma: LinearVP().time(sigma)),
        ("quadratic", lambda sigma: LinearVP().time(sigma).sqrt()),
        ("arctan", lambda sigma: torch.atan(sigma / 0.5)),
    ],
)
def test_grid_is_uniform_in_its_own_measure(name, measure):
    gaps = measure(time_grid(name, 12, 0.002, 80.0)[:-1]).diff()
    torch.testing.assert_close(gaps, gaps.mean().expand(11), rtol=1e-8, atol=1e-12)


def test_cosine_time_differs_from_linear_time():
    linear = time_grid("vp_time", 8, 0.002, 80.0)
    cosine = time_grid("vp_time", 8, 0.002, 80.0, schedule="cosine")
    assert not torch.allclose(linear, cosine)


@pytest.mark.parametrize("c", [0.5, 1.3])
def test_arctan_is_the_optimum_for_gaussian_data(c):
    """Euler's contraction on N(0, c^2) comes closest to the exact one on this grid and no other."""
    sigmas = time_grid("arctan", 7, 0.01, 20.0, c=c)[:-1]

    def loss(angles):
        inner = c * torch.tan(torch.as_tensor(angles, dtype=torch.float64))
        levels = torch.cat([sigmas[:1], inner, sigmas[-1:]])
        now, then = levels[:-1], levels[1:]
        product = ((c**2 + now * then) / (c**2 + now**2)).log().sum()
        exact = ((c**2 + levels[-1] ** 2) / (c**2 + levels[0] ** 2)).log() / 2
        return float(exact - product)  # Euler contracts too much: always above 0

    ours = torch.atan(sigmas[1:-1] / c)
    start = ours.numpy() + 0.05 * np.array([-1, 1, -1, 1, -1])
    found = minimize(loss, start, method="BFGS")
    assert loss(start) > 1.02 * found.fun
    torch.testing.assert_close(torch.as_tensor(found.x), ours, rtol=1e-3, atol=1e-4)
    # The closed form of the loss: a product of equal cosines.
    width = math.atan(20 / c) - math.atan(0.01 / c)
    assert loss(ours) == pytest.approx(-6 * math.log(math.cos(width / 6)), rel=1e-9)


def test_explicit_levels_are_taken_as_they_are():
    for given in ([5.0, 1.0, 0.1], [5.0, 1.0, 0.1, 0.0]):
        sigmas = time_grid("explicit", 3, 0.1, 5.0, sigmas=given)
        assert sigmas.tolist() == [5.0, 1.0, 0.1, 0.0]


@pytest.mark.parametrize(
    ("name", "arguments", "options", "message"),
    [
        ("karas", (18, 0.002, 80.0), {}, "did you mean 'karras'"),
        ("optimised", (18, 0.002, 80.0), {}, "did you mean 'optimized'"),
        ("karras", (0, 0.002, 80.0), {}, "at least 1"),
        ("karras", (True, 0.002, 80.0), {}, "at least 1"),
        ("karras", (1, 80.0, 0.002), {}, "sigma_min < sigma_max"),
        ("karras", (2, 80.0, 80.0), {}, "sigma_min < sigma_max"),
        ("karras", (1, 0.002, 80.0), {"roh": 7.0}, "did you mean 'rho'"),
        ("explicit", (1, 0.1, 1.0), {"sigmas": [2.0]}, "do not fit 1 step"),
        ("explicit", (1, 0.1, 1.0), {"sigmas": [0.0]}, "at least one level above 0"),
        ("explicit", (1, 0.1, 1.0), {"sigmas": [1.0, -1.0]}, "end at 0 or above"),
        ("karras", (2.5, 0.002, 80.0), {}, "whole number"),
        ("karras", (18, 0.0, 80.0), {}, "0 < sigma_min"),
        ("karras", (18, 80.0, 0.002), {}, "sigma_min < sigma_max"),
        ("karras", (18, 0.002, math.inf), {}, "sigma_min < sigma_max"),
        ("karras", (18, 0.002, 80.0), {"roh": 7.0}, "did you mean 'rho'"),
        ("karras", (18, 0.002, 80.0), {"rho": 0.0}, "rho is 0.0"),
        ("karras", (18, 0.002, 80.0), {"c": 0.5}, "belongs to arctan"),
        ("optimized", (6, 0.002, 80.0), {"order": 4}, "order is 4"),
        ("explicit", (2, 0.1, 1.0), {"sigmas": [0.1, 1.0]}, "fall strictly"),
        ("explicit", (3, 0.1, 1.0), {"sigmas": [1.0, 0.1]}, "do not fit 3 steps"),
    ],
)
def test_bad_input_is_one_clear_error(name, arguments, options, message):
    with pytest.raises(ValueError, match=message) as error:
        time_grid(name, *arguments, **options)
    assert "\n" not in str(error.value)
