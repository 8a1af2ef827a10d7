"""Gaussian data, whose denoiser is known exactly, for the oracles of students."""

import torch

from models.analytic import GaussianDenoiser

DATA_MEAN, DATA_STD = 0.4, 0.5
LEVELS = (0.05, 0.5, 3.0, 40.0)
SHAPE = (1, 1, 1)


def gaussian(mean=DATA_MEAN, std=DATA_STD):
    return GaussianDenoiser(SHAPE, mean, std)


def normal(count, seed):
    return torch.randn(
        count, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def full(value, count):
    return torch.full((count,), value, dtype=torch.float64)
