"""Derivatives along the probability-flow ODE: closed forms, torch.func.jvp, central differences."""

import pytest
import torch
from gaussian_data import DATA_MEAN, DATA_STD, LEVELS, full, gaussian, normal
from small_runs import SMALL
from torch.func import jvp

from models.denoiser import Denoiser
from models.layers.block_configs import GraphConvConfig

VARIANCE = DATA_STD**2


def consistency_map(x, sigma):
    """Where the ODE of the Gaussian data ends (the exact student)."""
    return DATA_MEAN + (VARIANCE / (VARIANCE + sigma.view(-1, 1, 1, 1) ** 2)).sqrt() * (
        x - DATA_MEAN
    )


def along(function, x, sigma, slope_of, sign=1.0):
    """d f(x(sigma); sigma) / d sigma where dx/dsigma = sign (x - slope_of(x)) / sigma."""
    slope = sign * (x - slope_of(x, sigma)) / sigma.view(-1, 1, 1, 1)
    return jvp(function, (x, sigma), (slope, torch.ones_like(sigma)))[1]


@pytest.mark.parametrize("sigma", LEVELS)
def test_the_exact_student_stands_still_and_the_denoiser_moves_as_known(sigma):
    """d f* / d sigma = 0 and d D / d sigma = -sigma v / (v + sigma^2)^2 (x - m)."""
    data, x, level = gaussian(), DATA_MEAN + sigma * normal(16, 60), full(sigma, 16)
    still = along(consistency_map, x, level, data)
    torch.testing.assert_close(still, torch.zeros_like(still), rtol=0, atol=1e-12)
    moving = along(data, x, level, data)
    wanted = -sigma * VARIANCE / (VARIANCE + sigma**2) ** 2 * (x - DATA_MEAN)
    torch.testing.assert_close(moving, wanted)

    step = 1e-4 * sigma
    ends = [data(data.flow(x, sigma, at), full(at, 16)) for at in (sigma + step, sigma - step)]
    torch.testing.assert_close(moving, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-9)
    # Run backwards, or with the state held still, neither is so.
    for sign in (-1.0, 0.0):
        assert along(consistency_map, x, level, data, sign).abs().max() > 1e-3
        assert not torch.allclose(along(data, x, level, data, sign), wanted, rtol=0.1)


def small_network(**changes):
    torch.manual_seed(1)
    network = Denoiser((1, 8, 8), 0, SMALL.model_copy(update=changes)).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.7)
    return network.requires_grad_(False)


def test_the_networks_jvp_is_its_central_difference():
    network = small_network()
    x, sigma = torch.randn(3, 1, 8, 8).double(), torch.tensor([0.1, 1.0, 20.0]).double()
    x = x * sigma.view(-1, 1, 1, 1)
    slope = (x - network(x, sigma)) / sigma.view(-1, 1, 1, 1)
    found = along(network, x, sigma, network)

    def difference(sign):
        step = 1e-5 * sigma
        wide = sign * step.view(-1, 1, 1, 1) * slope
        higher, lower = network(x + wide, sigma + step), network(x - wide, sigma - step)
        return (higher - lower) / (2 * step.view(-1, 1, 1, 1))

    torch.testing.assert_close(found, difference(1.0), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(found, difference(-1.0), rtol=1e-2)


def test_a_jvp_does_not_see_where_a_graph_changes_its_neighbours():
    """Along a path of noise the integral of the jvp is the difference of the ends, or is not."""
    generator = torch.Generator().manual_seed(3)
    image, noise = torch.randn(2, 1, 1, 8, 8, generator=generator).double().unbind(0)
    sigma = torch.linspace(0.5, 0.7, 201).double()
    noisy = image / 2 + sigma.view(-1, 1, 1, 1) * noise
    graph = GraphConvConfig(kind="graph_conv", k=4, width=16)

    def error(network):
        tangent = noise.expand_as(noisy), torch.ones_like(sigma)
        denoised, slope = jvp(network, (noisy, sigma), tangent)
        whole = torch.trapezoid(slope, sigma, dim=0)
        moved = denoised[-1] - denoised[0]
        return float((whole - moved).norm() / moved.norm())

    assert error(small_network()) < 1e-4
    assert error(small_network(structural_blocks=(graph,))) > 0.02
