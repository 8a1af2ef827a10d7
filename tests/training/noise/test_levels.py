"""Training noise levels and the fixed ones of the held-out loss."""

import numpy as np
import pytest
import torch

from training.config import NoiseConfig
from training.noise.levels import held_out_sigmas, sigma_quantile


def test_log_normal_quantiles():
    config = NoiseConfig(mean=-1.2, std=1.5)
    u = np.array([0.5, 0.8413447460685429, 0.15865525393145707])
    np.testing.assert_allclose(np.log(sigma_quantile(config, u)), [-1.2, 0.3, -2.7], atol=1e-9)


@pytest.mark.parametrize("schedule", ["log_normal", "vp_linear", "vp_cosine", "flow"])
def test_quantiles_are_finite_positive_and_monotone(schedule):
    sigma = sigma_quantile(NoiseConfig(schedule=schedule), np.linspace(0, 1, 101))
    assert np.isfinite(sigma).all() and (sigma > 0).all()
    steps = np.diff(sigma[1:-1])
    assert (steps > 0).all() or (steps < 0).all()


def test_held_out_levels_fill_each_bin():
    config = NoiseConfig()
    sigma, bins = held_out_sigmas(config, 4, 400)
    assert torch.bincount(bins).tolist() == [100] * 4
    edges = sigma_quantile(config, np.array([0.25, 0.5, 0.75]))
    assert (np.searchsorted(edges, sigma.numpy()) == bins.numpy()).all()
