"""Grid fitted: Gaussian data against its closed form, other data against other grids, the cache."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.analytic import GaussianDenoiser, GaussianMixtureDenoiser
from models.config import ModelConfig
from models.denoiser import Denoiser
from sampling.config import SamplerConfig
from sampling.drawing.contents import contents_hash
from sampling.drawing.fitted_levels import all_labels
from sampling.drawing.ways import SamplerWays
from sampling.generate import generate, prepare
from sampling.grids import fit, kept
from sampling.grids.closed_form import CLOSED_FORM
from sampling.grids.optimized import Optimized
from sampling.guidance.autoguidance import Autoguidance
from sampling.guidance.base import bind_labels
from sampling.request import GenerationRequest
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import make_solver

SHAPE = (1, 2, 2)
CLASSES = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No kept grids, and no search of the optimized one but where a test asks for it."""
    monkeypatch.setattr(kept, "_found", {})
    starts = fit.starts
    monkeypatch.setattr(fit, "starts", lambda *setting: starts_without_search(starts, setting))


def starts_without_search(starts, setting):
    original = Optimized.levels
    Optimized.levels = lambda self, count, low, high, cache_dir=None: np.geomspace(high, low, count)
    try:
        return starts(*setting)
    finally:
        Optimized.levels = original


def mixture():
    generator = torch.Generator().manual_seed(3)
    means = 0.5 * torch.randn(6, *SHAPE, generator=generator)
    return GaussianMixtureDenoiser(means, 0.05, None, [0, 1, 2, 0, 1, 2])


def request(sampler, **more):
    labels = more.pop("labels", np.full(2, -1))
    return GenerationRequest(
        sampler=sampler, seed=0, indices=range(len(labels)), labels=labels, **more
    )


def fitted(denoiser, cache_dir=None, **settings):
    sampler = SamplerConfig(**{"grid": "fitted", "solver": "unipc", "steps": 5} | settings)
    asked = request(sampler, cache_dir=None if cache_dir is None else str(cache_dir))
    return prepare(denoiser, asked).sampler


def never(*_, **__):
    raise AssertionError("searched again")


@pytest.mark.parametrize("c", [0.5, 1.3])
def test_on_gaussian_data_it_finds_the_arctan_grid(c, monkeypatch):
    """Begun elsewhere: the optimum of Euler's method is known in closed form."""
    monkeypatch.setattr(fit, "starts", lambda *_: [np.geomspace(20.0, 0.01, 7)])
    found = fitted(
        GaussianDenoiser(SHAPE, std=c),
        solver="ddim",
        steps=7,
        sigma_min=0.01,
        sigma_max=20.0,
        grid_options={"iterations": 40},
    )
    ideal = CLOSED_FORM["arctan"](c=c).levels(7, 0.01, 20.0)
    angles, best = np.arctan(np.array(found.sigmas) / c), np.arctan(ideal / c)
    assert np.abs(angles - best).max() < 0.02  # steps are of 0.26
    log_snr = np.arctan(np.geomspace(20.0, 0.01, 7) / c)
    assert np.abs(log_snr - best).max() > 0.25


def ways(denoiser, solver, count=16):
    noise = image_noise(image_generators(5, range(count)), denoiser.image_shape)
    denoise = bind_labels(denoiser, all_labels(denoiser, count))
    return SamplerWays(solver, denoise, noise, denoiser.sigma_data)


@pytest.mark.parametrize("solver", ["ddim", "heun", "dpmpp_2m", "unipc"])
@pytest.mark.parametrize("distance", ["images", "path"])
def test_it_is_never_farther_than_any_other_grid(solver, distance, monkeypatch):
    """On the images on which it was fitted."""
    denoiser = mixture()
    own = ways(denoiser, make_solver(solver))
    found = fit.fitted_sigmas(own, 5, 0.01, 20.0, distance=distance, fine_steps=40, iterations=8)
    assert found[0] == 20.0 and found[-1] == 0.01 and (np.diff(found) < 0).all()
    measure = fit.objective(own, 0.01, 20.0, distance, 40)
    others = [
        measure(start, False) for start in fit.starts(5, 0.01, 20.0, denoiser.sigma_data, None)
    ]
    assert measure(found, False) < 0.98 * min(others)


def test_the_optimized_grid_is_among_the_starts(monkeypatch):
    monkeypatch.undo()
    found = fit.starts(4, 0.02, 20.0, 0.5, None)
    assert len(found) == len(CLOSED_FORM) + 1
    np.testing.assert_allclose(found[-1], Optimized().levels(4, 0.02, 20.0))


@pytest.mark.parametrize("solver", ["ddim", "heun", "dpmpp_2m", "unipc"])
def test_repeated_evaluations_change_nothing(solver):
    """States along changed levels, with what is known of the levels before, bit for bit."""
    levels = np.geomspace(20.0, 0.01, 6).tolist()
    own, fresh = ways(mixture(), make_solver(solver), 4), ways(mixture(), make_solver(solver), 4)
    own.states([*levels, 0.0], remember=True)
    for place in range(1, 5):
        moved = [*levels, 0.0]
        moved[place] *= 1.01
        for ours, theirs in zip(own.states(moved), fresh.states(moved), strict=True):
            assert torch.equal(ours, theirs)
    calls = []
    own.denoise = lambda x, sigma: calls.append(float(sigma[0])) or mixture()(x, sigma)
    own.states(moved)
    assert len(calls) == make_solver(solver).evaluations(moved) - (7 if solver == "heun" else 4)


def test_the_path_between_fine_levels_is_the_exact_flow():
    denoiser = GaussianDenoiser(SHAPE, std=0.5)
    own = ways(denoiser, make_solver("heun"), 4)
    fine = [*CLOSED_FORM["karras"]().levels(64, 0.01, 20.0).tolist(), 0.0]
    fine[0], fine[-2] = 20.0, 0.01
    states, denoised = own.fine(fine)
    for sigma in (15.0, 3.3, 0.7, 0.05, 0.01):
        found = fit._between(fine, states, denoised, sigma)
        exact = denoiser.flow(own.noise.double() * 20.0, 20.0, sigma)
        torch.testing.assert_close(found, exact, rtol=2e-3, atol=1e-3)


def test_levels_depend_on_weights_and_settings_alone(tmp_path, monkeypatch):
    first = fitted(mixture(), tmp_path)
    (file,) = tmp_path.glob("*.json")
    assert json.loads(file.read_text())["sigmas"] == list(first.sigmas)
    monkeypatch.setattr(fit, "fitted_sigmas", never)
    again = request(
        SamplerConfig(grid="fitted", solver="unipc", steps=5),
        labels=np.array([2, 0, 1]),
        batch_size=2,
        cache_dir=str(tmp_path),
    )
    assert prepare(mixture(), again).sampler == first  # memory
    monkeypatch.setattr(kept, "_found", {})
    assert prepare(mixture(), replace(again, seed=7)).sampler == first  # disk
    file.write_text('{"sigmas": [1.0, 2.0]}')
    monkeypatch.setattr(kept, "_found", {})
    with pytest.raises(AssertionError, match="searched again"):
        prepare(mixture(), again)
    for changed in (
        {"solver_options": {"order": 3}},
        {"sigma_max": 60.0},
        {"told_sigma": 1.01},
        {"guidance": ({"kind": "classifier_free", "weight": 2.0},)},
        {"grid_options": {"distance": "path"}},
    ):
        with pytest.raises(AssertionError, match="searched again"):
            fitted(mixture(), tmp_path, **changed)
    other = mixture()
    other.centers[0, 0] += 0.1
    with pytest.raises(AssertionError, match="searched again"):
        fitted(other, tmp_path)


def test_guidance_moves_the_levels():
    plain = fitted(mixture(), solver="ddim")
    guided = fitted(mixture(), solver="ddim", guidance=({"weight": 4.0},))
    assert max(abs(a / b - 1) for a, b in zip(plain.sigmas, guided.sigmas, strict=True)) > 0.05


def test_images_are_those_of_the_fitted_levels():
    sampler = SamplerConfig(grid="fitted", solver="unipc", steps=5)
    levels = prepare(mixture(), request(sampler)).sampler
    assert levels.grid == "explicit" and levels.solver == "unipc" and levels.nfe == 5
    ours = generate(mixture(), sampler, 3, range(4), batch_size=2)
    assert torch.equal(ours, generate(mixture(), levels, 3, range(4), batch_size=2))


def test_one_and_two_steps_need_no_search(monkeypatch):
    monkeypatch.setattr(fit, "fitted_sigmas", never)
    assert fitted(mixture(), steps=2).sigmas == (80.0, 0.002)
    assert fitted(mixture(), steps=1).sigmas == (80.0,)


def test_a_hash_is_of_all_numbers_behind_a_denoiser():
    torch.manual_seed(0)
    network = Denoiser((1, 8, 8), 2, ModelConfig(channels=8, channel_mult=(1, 2)))
    before = contents_hash(network)
    assert before == contents_hash(network) and len(before) == 64
    other = Denoiser((1, 8, 8), 2, ModelConfig(channels=8, channel_mult=(1, 2)))
    guided = [contents_hash(Autoguidance(network, guide, 2.0)) for guide in (other, network)]
    assert len({before, *guided}) == 3
    with torch.no_grad():
        next(network.parameters()).add_(1e-3)
    assert contents_hash(network) != before
    assert contents_hash(lambda x, sigma: x) is None  # what cannot be listed is not kept
