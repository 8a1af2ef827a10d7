"""Four processes that share images draw what one process draws."""

import runpy
from pathlib import Path

import pytest
import torch

from models.bands import StackedBands
from sampling.band_plan import band_plan
from sampling.banded import BandedDenoiser
from sampling.config import SamplerConfig

run_ranks = runpy.run_path(str(Path(__file__).parents[1] / "gloo_ranks.py"))["run_ranks"]
WORKER = Path(__file__).with_name("division_worker.py")
NEARBY = runpy.run_path(str(WORKER))
CASES, draw, network, inputs = (NEARBY[k] for k in ("CASES", "draw", "network", "inputs"))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    """What each of four real gloo processes has drawn, with random sleeps between messages."""
    folder = tmp_path_factory.mktemp("division")
    run_ranks([WORKER], 4, folder / "meeting", folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(4)]


@pytest.mark.parametrize("case", CASES)
def test_a_group_draws_what_one_process_draws(ranks, case):
    """Exact samplers: what whole images give. Displaced ones: what stacked bands give."""
    expected = draw(CASES[case])
    for found in ranks:
        assert torch.allclose(found[case], expected, rtol=0, atol=1e-5)
    if CASES[case].bands is not None:
        exact = draw(CASES[case].model_copy(update={"bands": None}))
        assert (expected - exact).abs().max() > 1e-3


def test_all_ranks_have_the_same_image_to_the_bit(ranks):
    for case in CASES:
        assert all(torch.equal(found[case], ranks[0][case]) for found in ranks)


def test_fresh_and_displaced_evaluations_equal_stacked_bands(ranks):
    x, sigma, labels = inputs()
    stacked = BandedDenoiser(network(), StackedBands(4), warm_up=0)
    fresh, again = stacked(x, sigma, labels), stacked(0.9 * x, 0.9 * sigma, labels)
    for found in ranks:
        assert (found["float64"] - fresh).abs().max() < 1e-12
        assert (found["again"] - again).abs().max() < 1e-12


def test_latents_are_decoded_by_all(ranks):
    for found in ranks:
        assert (found["decoded"] - found["decoded whole"]).abs().max() < 1e-12


def test_bytes_sent_are_those_of_stacked_bands(ranks):
    x, sigma, labels = inputs()
    exchange = StackedBands(4)
    BandedDenoiser(network(), exchange)(x, sigma, labels)
    assert sum(found["sent_bytes"] for found in ranks) == exchange.sent_bytes > 0


def test_how_workers_share_an_image():
    plain, guided = SamplerConfig(), CASES["guided"]
    assert band_plan(plain, 1) is None
    assert band_plan(SamplerConfig(solver="adaptive_heun"), 4) is None
    plan = band_plan(plain, 4)
    assert (plan.groups, plan.bands, plan.warm_up) == (1, 4, None)
    plan = band_plan(guided, 4)  # guidance comes first
    assert (plan.groups, plan.bands, plan.warm_up) == (2, 2, None)
    assert band_plan(guided, 3).groups == 1
    displaced = SamplerConfig(bands={"count": 2, "warm_up": 3})
    assert band_plan(displaced, 2).warm_up == 3
    assert band_plan(displaced, 4) is None  # its result is that of two bands
    both = CASES["guided displaced"]
    assert (band_plan(both, 4).groups, band_plan(both, 2).groups) == (2, 1)
