"""A small denoiser that has every layer which bands divide, with its gains away from zero."""

import torch
from torch import Tensor

from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.block_configs import GraphConvConfig, SelfAttentionConfig

SHAPE = (3, 32, 16)
"""Higher than wide, so that a mistaken axis shows."""


def network(dtype: torch.dtype = torch.float64) -> Denoiser:
    """Three levels, attention at the middle one, and a graph convolution at the bottleneck."""
    torch.manual_seed(0)
    config = ModelConfig(
        channels=8,
        channel_mult=(1, 2, 2),
        blocks=1,
        attention_resolutions=(16,),
        structural_blocks=(GraphConvConfig(k=4, width=16), SelfAttentionConfig(heads=2)),
    )
    denoiser = Denoiser(SHAPE, 4, config).to(dtype).eval().requires_grad_(False)
    for name, parameter in denoiser.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(0.7)
    return denoiser


def inputs(count: int = 3, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy images, noise levels and labels, one of which is none."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, *SHAPE, generator=generator, dtype=torch.float64)
    sigma = torch.tensor([0.3, 1.0, 5.0, 20.0][:count])
    return x.to(dtype), sigma.to(dtype), torch.tensor([0, -1, 2, 3][:count])
