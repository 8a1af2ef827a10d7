"""Agreement with diffusers' schedulers on the same model and the same noise levels."""

import pytest
import torch

from models.analytic import GaussianMixtureDenoiser
from models.noise_paths import DiscreteVP, PathDenoiser, ddpm_betas, epsilon_model
from sampling.grids.table import time_grid
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import solve

diffusers = pytest.importorskip("diffusers")

SHAPE = (1, 1, 2)


def mixture():
    means = torch.tensor([[-0.6, 0.1], [0.5, 0.4], [0.2, -0.7]]).view(3, *SHAPE)
    return GaussianMixtureDenoiser(means, 0.3)


def noise(count=6):
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(0)).double()


def denoised(denoiser, x, sigma):
    return denoiser(x, torch.as_tensor(sigma).double().expand(len(x)))


@pytest.mark.parametrize("grid", ["karras", "log_snr"])
def test_dpmpp_2m_is_the_edm_dpm_solver(grid):
    denoiser, steps = mixture(), 12
    sigmas = time_grid(grid, steps, 0.01, 40.0)
    scheduler = diffusers.EDMDPMSolverMultistepScheduler(
        sigma_min=0.01, sigma_max=40.0, solver_order=2, final_sigmas_type="zero"
    )
    scheduler.set_timesteps(steps)
    scheduler.sigmas = sigmas.clone()
    # It preconditions itself; feed it the network output that gives back our D.
    x = noise() * sigmas[0]
    for index, step in enumerate(scheduler.timesteps):
        sigma = sigmas[index]
        c_skip = 0.25 / (sigma**2 + 0.25)
        c_out = sigma * 0.5 / (sigma**2 + 0.25) ** 0.5
        raw = (denoised(denoiser, x, sigma) - c_skip * x) / c_out
        x = scheduler.step(raw, step, x).prev_sample
    ours = solve("dpmpp_2m", denoiser, noise(), sigmas)
    torch.testing.assert_close(ours, x, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("variant", "last"), [("bh1", 0.01), ("bh2", 0.01), ("bh2", 0.0)])
def test_unipc_is_unipc(order, variant, last):
    """diffusers runs it on the VP path, z = x / sqrt(1 + sigma^2); its bh1 cannot step to 0."""
    denoiser, steps = mixture(), 12
    sigmas = time_grid("log_snr", steps, 0.02, 40.0)
    sigmas[-1] = last
    scheduler = diffusers.UniPCMultistepScheduler(
        solver_order=order,
        solver_type=variant,
        prediction_type="sample",
        final_sigmas_type="zero",
        lower_order_final=True,
    )
    scheduler.set_timesteps(steps)
    scheduler.sigmas = sigmas.clone()
    z = noise() * sigmas[0] / (1 + sigmas[0] ** 2).sqrt()
    for index, step in enumerate(scheduler.timesteps):
        scale = (1 + sigmas[index] ** 2).sqrt()
        z = scheduler.step(denoised(denoiser, z * scale, sigmas[index]), step, z).prev_sample
    x = z * (1 + last**2) ** 0.5
    ours = solve("unipc", denoiser, noise(), sigmas, order=order, variant=variant)
    torch.testing.assert_close(ours, x, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_is_ddim_on_the_ddpm_table(eta):
    """diffusers steps z with epsilon of the VP network; ours steps x with the adapted denoiser."""
    steps, path, denoiser = 20, DiscreteVP(ddpm_betas("linear")), mixture()
    network = epsilon_model(denoiser, path)
    scheduler = diffusers.DDIMScheduler(
        beta_start=1e-4, beta_end=0.02, clip_sample=False, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(steps)
    scheduler.alphas_cumprod = 1 / (1 + path.sigma(torch.arange(1000)) ** 2)
    sigmas = torch.cat([path.sigma(scheduler.timesteps), torch.zeros(1).double()])
    generators = image_generators(0, range(6))
    z = noise() * sigmas[0] / (1 + sigmas[0] ** 2).sqrt()
    for step in scheduler.timesteps:
        epsilon = network(z, step.expand(len(z)), None)
        last = step == scheduler.timesteps[-1]  # whose sigma' is 0, so it adds no noise
        fresh = torch.zeros_like(z) if last else image_noise(generators, SHAPE, torch.float64)
        z = scheduler.step(epsilon, step, z, eta=eta, variance_noise=fresh).prev_sample
    adapted = PathDenoiser(network, path, "epsilon", SHAPE)
    ours = solve(
        "ddim", adapted, noise(), sigmas, eta=eta, generators=image_generators(0, range(6))
    )
    torch.testing.assert_close(ours, z, rtol=1e-6, atol=1e-7)


def test_ddim_is_the_edm_euler_scheduler():
    denoiser, steps = mixture(), 12
    sigmas = time_grid("karras", steps, 0.01, 40.0)
    scheduler = diffusers.EDMEulerScheduler(sigma_min=0.01, sigma_max=40.0)
    scheduler.set_timesteps(steps)
    scheduler.sigmas = sigmas.clone()
    x = noise() * sigmas[0]
    for index, step in enumerate(scheduler.timesteps):
        x0 = denoised(denoiser, x, sigmas[index])
        scheduler.is_scale_input_called = True
        x = scheduler.step(x0, step, x, pred_original_sample=x0).prev_sample
    torch.testing.assert_close(solve("ddim", denoiser, noise(), sigmas), x, rtol=1e-6, atol=1e-7)
