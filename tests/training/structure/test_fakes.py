from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.analytic import GaussianDenoiser
from sampling.config import SamplerConfig
from sampling.solvers.table import solve
from training.structure.config import StructureConfig
from training.structure.fakes import Fakes

toys = SimpleNamespace(**run_path(str(Path(__file__).with_name("game_toys.py"))))

DATA = toys.random_images()


def fakes(kind="onestep", *, sampler=None, conditional=True, paired=False, **settings) -> Fakes:
    return Fakes(
        StructureConfig(fakes=kind, **settings),
        sampler,
        sigma_data=0.5,
        conditional=conditional,
        paired=paired,
        seed=7,
        codec=toys.FloatCodec(),
    )


def denoiser(x, sigma, labels):
    """Depends on the label too, so that a mix-up of rows would show."""
    share = 1 / (1 + sigma.square() / 0.25)[:, None, None, None]
    return share * x + 0.1 * labels[:, None, None, None]


@pytest.mark.parametrize("kind", ["onestep", "onpolicy", "deployed", "renoise"])
def test_each_row_depends_on_its_slot_and_the_play_alone(kind):
    source, play = fakes(kind), range(300, 316)
    whole = source.draw(DATA, play, flip=True)
    start = source.noisy(denoiser, whole, slice(0, 16))
    for first in (0, 5):
        part = source.draw(DATA, play[first : first + 4], play=play, flip=True)
        rows = slice(first, first + 4)
        for name in ("reals", "labels", "groups", "shown", "noise", "sigma", "sources", "stop"):
            value = getattr(whole, name)
            assert value is None or torch.equal(value[rows], getattr(part, name)), name
        assert torch.equal(start[rows], source.noisy(denoiser, part, slice(0, 4)))
        assert torch.equal(start[rows], source.noisy(denoiser, whole, rows))


def test_reals_are_independent_draws_with_the_labels_of_the_fakes():
    batch = fakes().draw(DATA, range(400))
    same = (batch.reals == batch.sources).flatten(1).all(1)
    assert same.float().mean() < 0.1
    for real, label in zip(batch.reals[:40], batch.labels[:40], strict=True):
        row = (DATA.images == real).flatten(1).all(1).nonzero().item()
        assert DATA.labels[row] == label


def test_reals_are_drawn_from_the_group_not_by_the_label():
    """As with captions: every image has a label of its own, and shares its group with others."""
    count = len(DATA.images)
    data = toys.ToyImages(DATA.images, np.arange(count), count, groups=np.arange(count) % 4)
    batch = fakes().draw(data, range(40))
    assert torch.equal(batch.groups, batch.labels % 4)
    assert torch.equal(batch.shown % 4, batch.groups)
    assert (batch.shown == batch.labels).float().mean() < 0.2  # else each real would be its source
    unconditional = fakes(conditional=False).draw(data, range(40))
    assert (unconditional.groups == -1).all() and len(set((unconditional.shown % 4).tolist())) == 4


def test_no_copy_of_a_real_occurs_in_a_play(monkeypatch):
    """Every image four times: an image beside its copy would tell that the set is real."""
    count = len(DATA.images)
    place = np.arange(4 * count) % count
    data = toys.ToyImages(DATA.images[place], DATA.labels[place], DATA.num_classes)
    keys = place.astype(np.uint64)
    found = property(lambda own: keys if getattr(own, "has_copies", False) else None)
    monkeypatch.setattr(toys.ToyImages, "train_keys", found)
    before = fakes().draw(data, range(48)).shown % count
    assert len(before.unique()) < 48
    data.has_copies = True
    batch = fakes().draw(data, range(48))
    assert len((batch.shown % count).unique()) == 48
    assert torch.equal(batch.groups, torch.from_numpy(data.group_labels)[batch.shown])


def test_paired_reals_are_the_sources():
    batch = fakes(paired=True).draw(DATA, range(40), flip=True)
    assert torch.equal(batch.reals, batch.sources)


def test_an_unconditional_denoiser_sees_no_labels():
    batch = fakes(conditional=False).draw(DATA, range(40))
    assert (batch.labels == -1).all()


def test_half_of_the_images_are_mirrored_where_training_does_so():
    plain, mirrored = (fakes().draw(DATA, range(200), flip=flip) for flip in (False, True))
    for name in ("reals", "sources"):
        one, other = getattr(plain, name), getattr(mirrored, name)
        turned = (one.flip(3) == other).flatten(1).all(1)
        assert ((one == other).flatten(1).all(1) | turned).all()
        assert 0.35 < turned.float().mean() < 0.65


def test_onestep_is_gated_to_sigma_data():
    sigma = fakes(sigma_min=0.1, sigma_max=5.0).draw(DATA, range(500)).sigma
    assert 0.1 <= sigma.min() < 0.12 and 0.45 < sigma.max() <= 0.5
    median = float(np.median(sigma))
    assert median == pytest.approx((0.1 * 0.5) ** 0.5, rel=0.15)  # uniform in log sigma
    source = fakes()
    batch = source.draw(DATA, range(8))
    expected = batch.sources + batch.sigma[:, None, None, None] * batch.noise
    assert torch.equal(source.noisy(denoiser, batch, slice(0, 8)), expected)


@pytest.mark.parametrize(
    "sampler",
    [
        SamplerConfig(solver="ddim", steps=8),
        SamplerConfig(solver="unipc", steps=8, grid="arctan"),
        SamplerConfig(solver="heun", steps=10, grid_options={"rho": 5}),
    ],
    ids=["ddim", "unipc", "heun"],
)
def test_onpolicy_states_lie_on_the_path_of_the_sampler(sampler):
    source = fakes("onpolicy", sampler=sampler)
    batch = source.draw(DATA, range(32))
    states = source.noisy(denoiser, batch, slice(0, 32))
    path = {}

    def keep(step, x, denoised):
        path[step + 1] = x

    grid = sampler.time_grid()
    solve(
        sampler.solver,
        lambda x, sigma: denoiser(x, sigma, batch.labels),
        batch.noise,
        grid,
        callback=keep,
    )
    assert len(batch.stop.unique()) > 1
    for row, stop in enumerate(batch.stop.tolist()):
        assert torch.equal(states[row], path[stop][row])
        assert batch.sigma[row] == grid[stop].float()
        assert 0.03 <= grid[stop] <= 1.0


@pytest.mark.parametrize("solver", ["ddim", "unipc"])
def test_onpolicy_gradient_may_reach_back_along_the_path(solver):
    """Each row's gradient comes from its own last steps; the fakes are those of one denoising."""
    sampler = SamplerConfig(solver=solver, steps=8)
    source = fakes("onpolicy", sampler=sampler, gradient_steps=3)
    alone = fakes("onpolicy", sampler=sampler)
    batch, everything = source.draw(DATA, range(8)), slice(0, 8)
    grid = sampler.time_grid().float()
    scale = torch.ones(8, 9, requires_grad=True)  # one factor for each row and noise level

    def scaled(x, sigma, labels):
        level = (grid[None, :] - sigma[:, None]).abs().argmin(1)
        return scale[torch.arange(len(x)), level, None, None, None] * denoiser(x, sigma, labels)

    noisy = source.noisy(scaled, batch, everything)
    images = source.images(scaled, batch, noisy, everything)
    once = alone.images(scaled, batch, alone.noisy(scaled, batch, everything), everything)
    assert torch.equal(images, once)
    (carried,) = torch.autograd.grad(images.square().sum(), scale)
    (carried_once,) = torch.autograd.grad(once.square().sum(), scale)
    assert len(batch.stop.unique()) > 1
    for row, stop in enumerate(batch.stop.tolist()):
        assert carried[row].nonzero()[:, 0].tolist() == list(range(max(stop - 2, 0), stop + 1))
        assert carried_once[row].nonzero()[:, 0].tolist() == [stop]
    with torch.no_grad():
        assert not source.images(scaled, batch, noisy, everything).requires_grad


@pytest.mark.parametrize("steps", [None, 3, 1])
def test_deployed_fakes_are_the_samplers_images_with_gradient_at_their_end(steps):
    sampler = SamplerConfig(solver="unipc", steps=6, grid="arctan")
    source = fakes("deployed", sampler=sampler, gradient_steps=steps)
    batch = source.draw(DATA, range(8))
    scale = torch.ones(6, requires_grad=True)  # one factor for each evaluation
    calls = iter(range(100))

    def scaled(x, sigma, labels):
        return scale[next(calls) % 6] * denoiser(x, sigma, labels)

    part = slice(2, 6)
    noisy = source.noisy(scaled, batch, slice(0, 8))
    images = source.images(scaled, batch, noisy, part)
    expected = solve(
        "unipc",
        lambda x, sigma: denoiser(x, sigma, batch.labels[part]),
        batch.noise[part],
        sampler.time_grid(),
    )
    assert expected.abs().max() > 1  # pictures show nothing beyond black and white
    assert torch.equal(images.detach(), expected.clamp(-1, 1))
    images.square().sum().backward()
    carried = (scale.grad != 0).tolist()
    assert carried == [step >= 6 - (steps or 6) for step in range(6)]
    with torch.no_grad():
        assert not source.images(scaled, batch, noisy, part).requires_grad


def test_an_onpolicy_path_with_an_exact_denoiser_ends_in_the_exact_marginal():
    """On Gaussian data the state at sigma has variance s^2 + sigma^2, up to solver error."""
    exact = GaussianDenoiser((1, 8, 8), std=0.5)
    sampler = SamplerConfig(solver="heun", steps=64)
    source = fakes("onpolicy", sampler=sampler)
    batch = source.draw(DATA, range(600))
    states = source.noisy(exact, batch, slice(0, 600))
    scaled = states / (0.25 + batch.sigma.square()).sqrt()[:, None, None, None]
    assert float(scaled.std()) == pytest.approx(1.0, abs=0.02)


def test_renoise_goes_up_to_the_shared_level():
    batch = fakes("renoise", renoise_sigma=2.0).draw(DATA, range(300))
    assert 1.5 < batch.sigma.max() <= 2.0
    real, fake = batch.renoise
    assert not torch.equal(real, fake) and real.shape == fake.shape == batch.reals.shape


def test_levels_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"structure\.sigma_min 0\.6 is above 0\.5"):
        fakes(sigma_min=0.6)
    with pytest.raises(ValueError, match=r"structure\.sampler\.adapter: .* leave it out"):
        fakes("deployed", sampler=SamplerConfig(adapter=True))
    with pytest.raises(ValueError, match=r"widen these or\s+give the sampler more steps"):
        fakes("onpolicy", sampler=SamplerConfig(steps=2), sigma_min=0.3, sigma_max=0.4)
    for one in (SamplerConfig(steps=1), SamplerConfig(grid="explicit", sigmas=(0.5,))):
        with pytest.raises(ValueError, match=r"structure\.sampler has a single step.* 2 steps"):
            fakes("onpolicy", sampler=one)


@pytest.mark.parametrize("kind", ["onpolicy", "deployed"])
@pytest.mark.parametrize("asked", [{"grid": "fitted"}, {"solver": "adaptive_heun"}])
def test_levels_that_are_no_settings_are_refused(kind, asked):
    with pytest.raises(ValueError, match="the game needs levels that are settings, and"):
        fakes(kind, sampler=SamplerConfig(**asked))


def test_one_step_deploys_fakes_too():
    """A generator of a single evaluation: its fakes are D(sigma_max noise; sigma_max)."""
    source = fakes("deployed", sampler=SamplerConfig(solver="ddim", steps=1, sigma_max=2.0))
    batch = source.draw(DATA, range(16))
    noisy = source.noisy(denoiser, batch, slice(0, 16))
    images = source.images(denoiser, batch, noisy, slice(0, 16))
    expected = denoiser(2.0 * batch.noise, torch.full((16,), 2.0), batch.labels)
    torch.testing.assert_close(images, source.codec.clip(expected))
