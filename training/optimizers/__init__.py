"""Optimisers of a denoiser's training, by name."""

from training.optimizers.build import OPTIMIZERS, make_optimizer

__all__ = ["OPTIMIZERS", "make_optimizer"]
