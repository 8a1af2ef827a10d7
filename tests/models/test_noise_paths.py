"""Paths and their adapters, against the published formulas and an exact denoiser."""

import math

import numpy as np
import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from models.noise_paths import (
    PATHS,
    CosineVP,
    DiscreteVP,
    LinearVP,
    PathDenoiser,
    RectifiedFlow,
    ddpm_betas,
    epsilon_model,
    sigma_of_time,
)

ALL = [LinearVP(), CosineVP(), RectifiedFlow(), DiscreteVP(ddpm_betas("linear"))]


@pytest.mark.parametrize("path", ALL, ids=lambda path: type(path).__name__)
def test_time_inverts_sigma(path):
    sigma = torch.logspace(math.log10(0.02), 2, 50, dtype=torch.float64)
    torch.testing.assert_close(path.sigma(path.time(sigma)), sigma, rtol=1e-9, atol=0)
    assert bool((path.time(sigma).diff() > 0).all())


def test_published_values():
    one = torch.tensor(1.0)
    assert LinearVP().sigma(one).item() == pytest.approx(math.sqrt(math.expm1(19.9 / 2 + 0.1)))
    # Nichol and Dhariwal: alpha_bar = f(t) / f(0), f = cos^2((t + s) / (1 + s) pi / 2).
    t = torch.linspace(0.05, 0.95, 7, dtype=torch.float64)
    f = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    kept = f / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    sigma = CosineVP().sigma(t)
    torch.testing.assert_close(CosineVP().scale(sigma) ** 2, kept, rtol=1e-10, atol=0)
    torch.testing.assert_close(sigma, ((1 - kept) / kept).sqrt(), rtol=1e-9, atol=0)
    torch.testing.assert_close(RectifiedFlow().sigma(t), t / (1 - t))
    torch.testing.assert_close(RectifiedFlow().scale(t / (1 - t)), 1 - t)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_discrete_table_is_the_cumulative_product(schedule):
    betas = ddpm_betas(schedule)
    kept = (1 - betas).cumprod(0)
    path = DiscreteVP(betas)
    index = torch.tensor([0.0, 17.0, 400.0, 999.0])
    expected = ((1 - kept) / kept).sqrt()[index.long()]
    torch.testing.assert_close(path.sigma(index), expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(path.time(expected), index.double(), rtol=1e-7, atol=1e-7)


def test_linear_betas_follow_the_continuous_path():
    sigma = DiscreteVP(ddpm_betas()).sigma(torch.tensor([249.0, 499.0, 749.0]))
    torch.testing.assert_close(
        sigma, LinearVP().sigma(torch.tensor([0.25, 0.5, 0.75])), rtol=0.02, atol=0
    )


def exact():
    means = torch.tensor([[-0.6, 0.1], [0.5, 0.4]]).view(2, 1, 1, 2)
    return GaussianMixtureDenoiser(means, 0.2, None, [0, 1])


@pytest.mark.parametrize("path", ALL, ids=lambda path: type(path).__name__)
@pytest.mark.parametrize("prediction", ["x0", "epsilon", "v"])
def test_adapter_gives_back_the_exact_denoiser(path, prediction):
    """Networks made from the definition of each prediction, z = alpha x0 + s noise."""
    denoiser = exact()

    def network(z, t, labels):
        sigma = path.sigma(t).view(-1, 1, 1, 1)
        alpha = path.scale(sigma)
        x0 = denoiser(z / alpha, sigma.flatten(), labels)
        noise = (z - alpha * x0) / (alpha * sigma)
        if isinstance(path, RectifiedFlow):
            velocity = noise - x0
        else:
            velocity = alpha * noise - alpha * sigma * x0
        return {"x0": x0, "epsilon": noise, "v": velocity}[prediction]

    adapted = PathDenoiser(network, path, prediction, (1, 1, 2), num_classes=2)
    x = torch.randn(12, 1, 1, 2, generator=torch.Generator().manual_seed(0)).double()
    sigma = torch.logspace(-1.5, 1.5, 12).double()
    labels = torch.arange(12) % 3 - 1
    torch.testing.assert_close(
        adapted(x, sigma, labels), denoiser(x, sigma, labels), rtol=1e-6, atol=1e-7
    )


def test_flow_velocity_is_the_mean_of_noise_minus_data():
    """Monte Carlo, independent of the algebra: E[noise - x0 | z] on the straight path."""
    denoiser, t = exact(), 0.4
    generator = torch.Generator().manual_seed(1)
    data, _ = denoiser.sample(400_000, generator)
    noise = torch.randn(data.shape, generator=generator, dtype=torch.float64)
    z = (1 - t) * data + t * noise
    here = torch.tensor([0.1, 0.2]).double().view(1, 1, 1, 2)
    near = ((z - here).flatten(1).norm(dim=1) < 0.05).view(-1)
    velocity = (noise - data)[near].mean(0, keepdim=True)
    path = RectifiedFlow()
    adapted = PathDenoiser(lambda z, t, labels: velocity, path, "v", (1, 1, 2))
    sigma = path.sigma(torch.tensor([t]))
    found = adapted(here / (1 - t), sigma)
    torch.testing.assert_close(found, denoiser(here / (1 - t), sigma), rtol=0, atol=0.03)


def test_epsilon_model_is_the_way_back():
    path, denoiser = DiscreteVP(ddpm_betas()), exact()
    adapted = PathDenoiser(epsilon_model(denoiser, path), path, "epsilon", (1, 1, 2))
    x = torch.randn(8, 1, 1, 2, generator=torch.Generator().manual_seed(2)).double()
    sigma = torch.logspace(-1.5, 1.5, 8).double()
    torch.testing.assert_close(adapted(x, sigma), denoiser(x, sigma), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("schedule", list(PATHS))
def test_training_levels_are_uniform_in_time(schedule):
    uniform = np.linspace(0.0, 1.0, 11)
    sigma = sigma_of_time(schedule, uniform)
    assert sigma.shape == uniform.shape and sigma.dtype == np.float64
    assert sigma[0] == pytest.approx(0.002) and sigma[-1] == pytest.approx(160.0)
    gaps = PATHS[schedule]().time(torch.from_numpy(sigma)).diff()
    torch.testing.assert_close(gaps, gaps.mean().expand(10), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LinearVP(beta_min=0.0),
        lambda: CosineVP(offset=-1.0),
        lambda: DiscreteVP(torch.tensor([0.1, 1.5])),
        lambda: ddpm_betas("sine"),
        lambda: sigma_of_time("vp_liner", np.zeros(2)),
        lambda: PathDenoiser(lambda z, t, y: z, LinearVP(), "noise", (1, 1, 2)),
    ],
)
def test_bad_paths_are_refused(make):
    with pytest.raises(ValueError):
        make()
