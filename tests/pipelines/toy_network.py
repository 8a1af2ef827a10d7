"""Weights of a small untrained network, for tests of commands that draw."""

import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights


def save_toy(path, classes=3, names=(), seed=0, shape=(1, 8, 8), codec=None, **config):
    """Write a network of 8 channels whose images depend on noise, level and class; the path."""
    torch.manual_seed(seed)
    small = ModelConfig(
        channels=8,
        channel_mult=(1,),
        blocks=1,
        attention_resolutions=(),
        structural_blocks=(),
        **config,
    )
    denoiser = Denoiser(shape, classes, small, codec, label_names=names)
    with torch.no_grad():  # gains are 0 at first, which would hide the rest
        denoiser.unet.output_gain.fill_(1.0)
        for block in denoiser.unet.encoder:
            block.modulation_gain.fill_(1.0)
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    return path
