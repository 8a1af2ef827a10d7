"""The known region holds noise of the solver's own level at every step, and returns bit for bit."""

import numpy as np
import pytest
import torch

from models.analytic import GaussianDenoiser
from sampling.editing.edit import Edit
from sampling.editing.known_region import KnownRegion
from sampling.editing.solve_edit import solve_edit
from sampling.grids.table import time_grid
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import make_solver, solve

SHAPE = (2, 4, 4)
SIGMAS = time_grid("karras", 10, 0.01, 20.0)
DRAWN = np.zeros((4, 4), bool)
DRAWN[1:3, 1:] = True
IMAGE = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
SOLVERS = [
    ("ddim", {}),
    ("heun", {}),
    ("dpmpp_2m", {}),
    ("unipc", {"order": 3}),
    ("unipc", {"corrector": False}),
    ("ddim", {"eta": 1.0}),
    ("heun", {"churn": 3.0}),
    ("consistency", {}),
]


def denoise(x, sigma):
    return GaussianDenoiser(SHAPE, 0.2, 0.5)(x, sigma)


def edited(edit, solver="heun", options=(), count=4, callback=None, seed=0):
    generators = image_generators(seed, range(count))
    noise = image_noise(generators, SHAPE)
    made = make_solver(solver, **dict(options))
    out = solve_edit(edit, made, denoise, noise, SIGMAS, generators=generators, callback=callback)
    return out, noise


def spreads(solver, options, resample):
    """Standard deviation of (x - image) / sigma in the known region after each step."""
    edit, found = Edit(image=IMAGE, drawn=DRAWN, resample=resample), []

    def look(step, x, x0):
        if SIGMAS[step + 1] > 0:
            known = (x - torch.from_numpy(IMAGE))[:, :, ~torch.from_numpy(DRAWN)]
            found.append((known / SIGMAS[step + 1]).std().item())

    edited(edit, solver, options, 200, look)
    return found


@pytest.mark.parametrize("resample", [1, 3])
@pytest.mark.parametrize(("solver", "options"), SOLVERS)
def test_noise_of_each_level_lies_on_the_known_region(solver, options, resample, monkeypatch):
    found = spreads(solver, options, resample)
    assert len(found) == 9 * resample
    assert found == pytest.approx([1.0] * len(found), abs=0.05)
    monkeypatch.setattr(KnownRegion, "hold", lambda self, denoise: denoise)  # sabotage
    assert spreads(solver, options, resample) != pytest.approx([1.0] * len(found), abs=0.05)


@pytest.mark.parametrize(("solver", "options"), SOLVERS[:5])
def test_deterministic_solvers_keep_the_noise_itself(solver, options):
    edit, states = Edit(image=IMAGE, drawn=DRAWN, resample=1), []
    _, noise = edited(edit, solver, options, callback=lambda step, x, x0: states.append(x))
    for level, x in zip(SIGMAS[1:].tolist(), states, strict=True):
        expected = torch.from_numpy(IMAGE) + level * noise
        known = ~torch.from_numpy(DRAWN)
        torch.testing.assert_close(x[:, :, known], expected[:, :, known], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("solver", "options"), SOLVERS)
def test_known_values_return_bit_for_bit(solver, options):
    out, _ = edited(Edit(image=IMAGE, drawn=DRAWN, resample=2), solver, options)
    known = ~DRAWN
    assert (out.numpy()[:, :, known] == IMAGE[:, known]).all()
    drawn = out.numpy()[:, :, DRAWN]
    assert np.isfinite(drawn).all() and (drawn.std(0) > 0).all()


@pytest.mark.parametrize("drawn", [None, np.ones((4, 4), bool)])
@pytest.mark.parametrize(("solver", "options"), SOLVERS)
def test_nothing_known_and_all_forgotten_is_the_plain_sampler(solver, options, drawn):
    out, noise = edited(Edit(image=IMAGE, drawn=drawn, resample=7), solver, options)
    generators = image_generators(0, range(4))
    image_noise(generators, SHAPE)  # as drawn above, so that later draws agree
    plain = solve(solver, denoise, noise, SIGMAS, generators=generators, **options)
    assert torch.equal(out, plain)


@pytest.mark.parametrize("drawn", [None, DRAWN])
def test_strength_0_returns_the_image_without_an_evaluation(drawn, monkeypatch):
    monkeypatch.setitem(globals(), "denoise", None)
    out, _ = edited(Edit(image=IMAGE, drawn=drawn, strength=0))
    assert (out.numpy() == IMAGE).all()


def test_strength_between_begins_at_the_noisy_image():
    """On Gaussian data the ODE's end is known: the image with noise of that level, carried down."""
    exact = GaussianDenoiser(SHAPE, 0.2, 0.5)
    distances = []
    for strength in (0.2, 0.5, 0.9):
        first = 10 - round(10 * strength)
        out, noise = edited(Edit(image=IMAGE, strength=strength), "heun")
        level = SIGMAS[first].item()
        begin = torch.from_numpy(IMAGE) + level * noise
        torch.testing.assert_close(out, exact.flow(begin, level, 0.0), rtol=0, atol=0.15)
        distances.append((out - torch.from_numpy(IMAGE)).square().mean().item())
    assert distances == sorted(distances)


def test_strength_with_a_mask_edits_inside_the_mask_alone():
    out, _ = edited(Edit(image=IMAGE, drawn=DRAWN, strength=0.3, resample=2))
    moved = np.abs(out.numpy() - IMAGE)
    assert (moved[:, :, ~DRAWN] == 0).all() and (moved[:, :, DRAWN] > 0).all()
    far, _ = edited(Edit(image=IMAGE, drawn=DRAWN, strength=0.9, resample=2))
    assert moved.mean() < 0.5 * np.abs(far.numpy() - IMAGE).mean()
