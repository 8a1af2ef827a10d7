"""Between stored pixels (uint8, NHWC) and denoiser units (float32 in [-1, 1], NCHW)."""

import numpy as np
import torch


def to_float(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 [N, H, W, C] -> contiguous float32 [N, C, H, W] = value / 127.5 - 1, same device."""
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.require(images, requirements=["C", "W"]))  # torch's demands
    pixels = images  # [N, H, W, C]
    assert pixels.dtype == torch.uint8 and pixels.ndim == 4, (pixels.dtype, pixels.shape)
    values = torch.empty(pixels.permute(0, 3, 1, 2).shape, device=pixels.device)  # [N, C, H, W]
    return values.copy_(pixels.permute(0, 3, 1, 2)).div_(127.5).sub_(1)


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """Float [N, C, H, W] in [-1, 1] -> uint8 [N, H, W, C], rounded to nearest, clipped.

    The exact inverse of `to_float`. Not-a-number has no pixel value and is refused.
    """
    assert images.ndim == 4, images.shape
    values = images.detach().float()
    if torch.isnan(values).any():
        raise ValueError("images hold NaN, which has no pixel value: the denoiser has diverged")
    pixels = (values * 127.5 + 128).clip(0, 255).to(torch.uint8)  # truncation after +0.5 rounds
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())  # [N, H, W, C]
