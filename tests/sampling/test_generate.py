"""Image i depends on (seed, i) and its label alone, and bad input fails before any evaluation."""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from sampling.config import SamplerConfig
from sampling.drawing.networks import device_of, networks_of
from sampling.generate import generate, generate_batches
from sampling.guidance.autoguidance import Autoguidance
from sampling.guidance.interval import Interval
from sampling.request import GenerationRequest
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import SOLVERS

Counting = run_path(str(Path(__file__).with_name("counting.py")))["Counting"]

SHAPE = (1, 2, 2)


def denoiser():
    means = torch.tensor([-0.7, 0.0, 0.7]).view(3, 1, 1, 1).expand(3, *SHAPE)
    return GaussianMixtureDenoiser(means, 0.1, None, [0, 1, 2])


STOCHASTIC = SamplerConfig(solver="ddim", solver_options={"eta": 1.0}, steps=8)


@pytest.mark.parametrize("sampler", [SamplerConfig(steps=6), STOCHASTIC])
def test_images_do_not_depend_on_the_batch(sampler):
    labels = torch.arange(10) % 3
    whole = generate(denoiser(), sampler, 7, range(10), labels, batch_size=10)
    assert whole.shape == (10, *SHAPE) and whole.dtype == torch.float32
    parts = generate(denoiser(), sampler, 7, range(10), labels, batch_size=3)
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)
    chosen = generate(denoiser(), sampler, 7, [8, 2], labels[[8, 2]])
    torch.testing.assert_close(whole[[8, 2]], chosen, rtol=1e-5, atol=1e-6)


def test_seed_and_index_both_matter():
    first = image_noise(image_generators(0, [0, 1]), SHAPE)
    other = image_noise(image_generators(1, [0]), SHAPE)
    assert not torch.allclose(first[0], first[1]) and not torch.allclose(first[0], other[0])
    torch.testing.assert_close(first[1:], image_noise(image_generators(0, [1]), SHAPE))
    many = image_noise(image_generators(3, range(4000)), SHAPE).flatten()
    assert abs(float(many.mean())) < 0.03 and float(many.std()) == pytest.approx(1, abs=0.03)


def test_labels_choose_the_class():
    labels = torch.tensor([0, 1, 2] * 20)
    images = generate(denoiser(), SamplerConfig(), 0, range(60), labels)
    means = images.flatten(1).mean(1)
    torch.testing.assert_close(means, (labels - 1) * 0.7, rtol=0, atol=0.3)
    free = generate(denoiser(), SamplerConfig(), 0, range(60)).flatten(1).mean(1)
    assert {round(float(m) / 0.7) for m in free} == {-1, 0, 1}


def test_progress_and_batches():
    seen = []
    request = GenerationRequest(
        sampler=SamplerConfig(steps=2),
        seed=0,
        indices=range(7),
        labels=np.full(7, -1),
        batch_size=3,
    )
    batches = list(
        generate_batches(
            denoiser(), request, progress=lambda done, total: seen.append((done, total))
        )
    )
    assert [len(batch) for batch in batches] == [3, 3, 1]
    # Heun's two steps evaluate three times, so a batch of three tells each of its images.
    assert seen == [(done, 7) for done in range(1, 8)]
    assert generate(denoiser(), SamplerConfig(), 0, []).shape == (0, *SHAPE)


def test_evaluation_mode_inside_and_the_old_mode_after():
    modes = []

    class Watched(GaussianMixtureDenoiser):
        def forward(self, x, sigma, labels=None):
            modes.append((self.training, torch.is_grad_enabled()))
            return super().forward(x, sigma, labels)

    watched = Watched(torch.zeros(1, *SHAPE), 0.5).train()
    generate(watched, SamplerConfig(steps=2), 0, range(2))
    assert set(modes) == {(False, False)}
    assert watched.training and torch.is_grad_enabled()


@pytest.mark.parametrize("limited", [False, True])
def test_networks_inside_guidance_are_evaluated_too(limited):
    """Guidance is no network itself; the two that it calls are found in it, however deep."""
    modes = []

    class Watched(GaussianMixtureDenoiser):
        def forward(self, x, sigma, labels=None):
            modes.append(self.training)
            return super().forward(x, sigma, labels)

    main, guide = (Watched(torch.zeros(1, *SHAPE), std).train() for std in (0.5, 0.7))
    entries = [{"kind": "autoguidance", "weight": 2.0}, {"kind": "interval", "sigma_hi": 5.0}]
    sampler = SamplerConfig(steps=2, guidance=tuple(entries[: 1 + limited]))
    generate(main, sampler, 0, range(2), guide=guide)
    assert len(modes) > 3 and not any(modes)
    assert main.training and guide.training
    guided = Interval(Autoguidance(main.to("meta"), guide, 2.0), 0.1, 1.0)
    assert device_of(guided).type == "meta"
    assert set(networks_of(guided)) == {main, guide}


class Never(GaussianMixtureDenoiser):
    def forward(self, x, sigma, labels=None):
        raise AssertionError("evaluated before the input was checked")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": np.array([0, 1])}, "for 3 images"),
        ({"labels": np.array([0, 1, 2])}, "label 2 is not one of"),
        ({"labels": np.array([0, -2, 1])}, "label -2"),
        ({"batch_size": 0}, "at least one image"),
        ({"sampler": {"guidance": ({"kind": "autoguidance", "weight": 2.0},)}}, "needs a guiding"),
    ],
)
def test_bad_input_before_any_work(arguments, message):
    arguments = {"sampler": {}, "labels": np.full(3, -1)} | arguments
    arguments["sampler"] = SamplerConfig(**arguments["sampler"])
    never = Never(torch.zeros(2, *SHAPE), 0.5, None, [0, 1])
    with pytest.raises(ValueError, match=message):
        generate_batches(never, GenerationRequest(seed=0, indices=range(3), **arguments))
    labels = arguments.pop("labels")
    with pytest.raises(ValueError, match=message):
        generate(never, arguments.pop("sampler"), 0, range(3), labels, **arguments)


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_one_evaluation_denoises_the_noise(solver):
    """The image is D(sigma_max noise; sigma_max), a posterior mean."""
    sampler, labels = SamplerConfig(solver=solver, steps=1, sigma_max=3.0), torch.arange(6) % 3
    images = generate(denoiser(), sampler, 7, range(6), labels)
    noise = image_noise(image_generators(7, range(6)), SHAPE)
    expected = denoiser()(3.0 * noise, torch.full((6,), 3.0), labels)
    torch.testing.assert_close(images, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "guidance",
    [
        [{"weight": 2.0}, {"kind": "interval", "sigma_lo": 0.1, "sigma_hi": 5.0}],
        [{"kind": "autoguidance", "weight": 2.0}, {"kind": "interval", "sigma_hi": 5.0}],
        [
            {"weight": 2.0},
            {"kind": "interval", "sigma_hi": 5.0},
            {"kind": "gradient"},
            {"kind": "interval", "sigma_lo": 0.5},
        ],
        [{"kind": "gradient", "weight": 2.0}, {"kind": "autoguidance", "weight": 3.0}],
    ],
)
@pytest.mark.parametrize(
    ("solver", "options"), [("heun", {}), ("heun", {"churn": 10.0}), ("unipc", {}), ("ddim", {})]
)
def test_network_evaluations_are_those_that_are_made(guidance, solver, options):
    sampler = SamplerConfig(
        solver=solver, solver_options=options, steps=6, sigma_max=20.0, guidance=tuple(guidance)
    )
    main, guide, scored = Counting(denoiser()), Counting(denoiser()), []

    def log_prob(x, sigma, labels):
        scored.append(len(x))
        return main.inner.class_log_prob(x, sigma, labels)

    helpers = {"autoguidance": guide, "gradient": log_prob}
    labels = torch.arange(5) % 3
    generate(main, sampler, 0, range(5), labels, guide=helpers)
    made = main.images + guide.images + sum(scored)
    assert made == 5 * sampler.network_evaluations() and made > 5 * sampler.nfe
