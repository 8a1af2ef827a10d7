"""A denoiser in bands: exact where fresh, reproducible where displaced."""

import runpy
from pathlib import Path

import pytest
import torch

from models.analytic import GaussianDenoiser
from models.bands import StackedBands
from models.layers.low_rank_adapter import GAME, AdaptedDenoiser, add_adapters
from sampling.band_plan import check_bands
from sampling.banded import BandedDenoiser
from sampling.spread import banded

NEARBY = runpy.run_path(str(Path(__file__).parents[1] / "models" / "bands" / "network.py"))
network, inputs = NEARBY["network"], NEARBY["inputs"]


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_exact_bands_equal_the_denoiser(count):
    denoiser, (x, sigma, labels) = network(), inputs()
    whole = denoiser(x, sigma, labels)
    found = BandedDenoiser(denoiser, StackedBands(count))(x, sigma, labels)
    assert apart(found, whole) <= (1e-12 if count > 1 else 0)
    assert all(getattr(m, "exchange", None) is None for m in denoiser.modules())


@pytest.mark.parametrize("count", [2, 4])
def test_the_same_input_again_is_exact_though_displaced(count):
    denoiser, (x, sigma, labels) = network(), inputs()
    bands = BandedDenoiser(denoiser, StackedBands(count), warm_up=0)
    first, again = bands(x, sigma, labels), bands(x, sigma, labels)
    assert apart(first, again) < 1e-12
    moved = bands(0.9 * x, 0.9 * sigma, labels)
    assert apart(moved, denoiser(0.9 * x, 0.9 * sigma, labels)) > 1e-3


def test_a_warm_up_of_all_evaluations_is_exact():
    denoiser, (x, sigma, labels) = network(), inputs()
    steps = [1.0, 0.7, 0.4]
    for warm_up in (0, 1, 2):
        bands = BandedDenoiser(denoiser, StackedBands(4), warm_up)
        errors = [
            apart(bands(s * x, s * sigma, labels), denoiser(s * x, s * sigma, labels))
            for s in steps
        ]
        assert [error < 1e-12 for error in errors] == [n <= warm_up for n in range(3)]


@pytest.mark.parametrize(
    "begin_anew",
    [
        lambda bands, x, sigma, labels: bands.restart(),
        lambda bands, x, sigma, labels: bands(x[:2], sigma[:2], labels[:2]),
        lambda bands, x, sigma, labels: bands(x, 0.1 * sigma, labels),  # so the next one rises
    ],
    ids=["restart", "another batch shape", "a rising noise level"],
)
def test_a_new_trajectory_starts_afresh(begin_anew):
    denoiser, (x, sigma, labels) = network(), inputs()
    bands = BandedDenoiser(denoiser, StackedBands(2), warm_up=0)
    bands(x, sigma, labels)
    begin_anew(bands, x, sigma, labels)
    y = 0.8 * x
    assert apart(bands(y, 0.8 * sigma, labels), denoiser(y, 0.8 * sigma, labels)) < 1e-12


def test_the_adapter_acts_in_bands():
    denoiser, (x, sigma, labels) = network(), inputs()
    add_adapters(denoiser, GAME, 2)
    for name, parameter in denoiser.named_parameters():
        if name.endswith("up"):
            parameter.data.normal_(0, 0.1)
    denoiser.double().requires_grad_(False)
    bands = BandedDenoiser(denoiser, StackedBands(2))
    on = AdaptedDenoiser(bands)(x, sigma, labels)
    assert apart(on, AdaptedDenoiser(denoiser)(x, sigma, labels)) < 1e-12
    assert apart(on, denoiser(x, sigma, labels)) > 1e-3


def seam_ratio(images: torch.Tensor, count: int) -> float:
    """Mean gradient across the edges of bands, over that across all other rows."""
    steps = (images[:, :, 1:] - images[:, :, :-1]).abs().mean((0, 1, 3))  # [H - 1]
    edges = torch.arange(1, count) * (images.shape[2] // count) - 1
    elsewhere = torch.ones(len(steps), dtype=torch.bool)
    elsewhere[edges] = False
    return float(steps[edges].mean() / steps[elsewhere].mean())


def test_rows_of_zeros_in_place_of_the_neighbours_show_as_seams(monkeypatch):
    denoiser, (x, sigma, labels) = network(), inputs()
    smooth = torch.linspace(-1, 1, 32, dtype=torch.float64)[:, None].expand(3, 3, 32, 16)
    x, sigma = smooth + 0.01 * x, torch.full_like(sigma, 5.0)
    exact = seam_ratio(BandedDenoiser(denoiser, StackedBands(4))(x, sigma, labels), 4)

    def zeros(self, key, x):
        return lambda: (torch.zeros_like(x[:, :, :1]), torch.zeros_like(x[:, :, :1]))

    monkeypatch.setattr(StackedBands, "rows", zeros)
    broken = seam_ratio(BandedDenoiser(denoiser, StackedBands(4))(x, sigma, labels), 4)
    assert broken > 1.3 * exact


def test_bands_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"32 rows .* 3 equal bands .* choose one of 1, 2, 4, 8$"):
        BandedDenoiser(network(), StackedBands(3))
    with pytest.raises(ValueError, match="multiple of 4"):
        check_bands(16, 32, 3)
    analytic = GaussianDenoiser((3, 32, 16), std=1.0)
    with pytest.raises(ValueError, match="GaussianDenoiser is none"):
        banded(analytic, StackedBands(2), None)
