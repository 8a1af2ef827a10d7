"""A denoiser in bands: exact where fresh, reproducible where displaced."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from models.analytic import GaussianDenoiser
from models.bands import StackedBands
from models.config import ModelConfig
from models.layers.low_rank_adapter import GAME, AdaptedDenoiser, add_adapters
from sampling.band_plan import check_bands
from sampling.banded import BandedDenoiser
from sampling.config import SamplerConfig
from sampling.division import Division, banded
from sampling.editing.edit import Edit
from sampling.generate import generate_batches
from sampling.request import GenerationRequest

NEARBY = runpy.run_path(str(Path(__file__).parents[1] / "models" / "bands" / "network.py"))
network, inputs, SHAPE = NEARBY["network"], NEARBY["inputs"], NEARBY["SHAPE"]


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


def test_after_a_failed_evaluation_a_trajectory_begins_anew(monkeypatch):
    denoiser, (x, sigma, labels) = network(), inputs()
    bands = BandedDenoiser(denoiser, StackedBands(2), warm_up=0)

    def fail(hidden):
        raise MemoryError

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(denoiser, "decode", fail)
        bands(x, sigma, labels)
    assert all(getattr(m, "exchange", None) is None for m in denoiser.modules())
    assert apart(bands(x, sigma, labels), denoiser(x, sigma, labels)) < 1e-12


def test_exact_bands_hold_nothing_between_evaluations():
    denoiser, (x, sigma, labels) = network(), inputs()
    exchange = StackedBands(2)
    BandedDenoiser(denoiser, exchange)(x, sigma, labels)
    assert not exchange._before
    BandedDenoiser(denoiser, exchange, warm_up=0)(x, sigma, labels)
    assert exchange._before


def test_a_block_that_may_relate_rows_is_refused():
    denoiser = network()
    denoiser.unet.structure.append(torch.nn.AvgPool2d(3, 1, 1))
    with pytest.raises(ValueError, match="do not know the block AvgPool2d"):
        BandedDenoiser(denoiser, StackedBands(2))
    denoiser.unet.structure[-1].in_bands = True
    BandedDenoiser(denoiser, StackedBands(2))


def test_noise_added_back_begins_a_new_trajectory():
    """DDIM meets the same level again after resampling, with other noise: it does not rise."""
    drawn = np.ones(SHAPE[1:], bool)
    drawn[:4] = False
    image = Edit(image=np.zeros(SHAPE, np.float32), drawn=drawn, resample=2)
    seen = []

    class Noting(StackedBands):
        def begin(self, fresh, keep=True):
            seen.append(fresh)
            super().begin(fresh, keep)

    sampler = SamplerConfig(solver="ddim", steps=3)
    request = GenerationRequest(
        sampler=sampler, seed=1, indices=[0], labels=np.zeros(1, np.int64), edit=image
    )
    division = Division(lambda denoiser: BandedDenoiser(denoiser, Noting(2), warm_up=0))
    list(generate_batches(network(), request, division=division))
    runs = image.runs(3)
    assert len(runs) > 1 and sum(seen) == len(runs) < len(seen)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"solver_options": {"churn": 40}}, "churn adds noise"),
        ({"solver": "consistency"}, "consistency draws new noise"),
    ],
)
def test_samplers_with_new_noise_at_each_step_are_refused(settings, why):
    with pytest.raises(ValueError, match=why):
        SamplerConfig(bands={"count": 2}, **settings)
    SamplerConfig(**settings)


def test_bands_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"32 rows .* 3 equal bands .* choose one of 1, 2, 4, 8$"):
        BandedDenoiser(network(), StackedBands(3))
    with pytest.raises(ValueError, match="multiple of 4"):
        check_bands(16, 32, ModelConfig(channel_mult=(1, 1, 1)))
    analytic = GaussianDenoiser((3, 32, 16), std=1.0)
    with pytest.raises(ValueError, match="GaussianDenoiser is none"):
        banded(analytic, StackedBands(2), None)
