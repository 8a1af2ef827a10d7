"""3x3 convolutions of residual blocks: model.convolution names one.

Each kind is a function (input channels, output channels) -> layer, [B, C, H, W] -> [B, C', H, W],
with one entry in CONVOLUTIONS; inputs of unit magnitude give outputs of unit magnitude away from
the image's border.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.layers.magnitude_preserving import MPConv


class MultiScaleConv(nn.Module):
    """Three convolutions side by side: 3x3, 3x3 that sees every second pixel, and 1x1.

    They give half, a quarter and a quarter of the output channels, so that one layer sees detail
    and surroundings. Costs 7/9 of a 3x3 convolution's weights and operations.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        assert out_channels % 4 == 0, "the settings refuse other numbers"
        quarter = out_channels // 4
        self.near = MPConv(in_channels, 2 * quarter, 3)
        self.far = MPConv(in_channels, quarter, 3, dilation=2)
        self.point = MPConv(in_channels, quarter, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.near(x), self.far(x), self.point(x)], 1)


class SeparableConv(nn.Module):
    """A 3x3 kernel for each channel, then a 1x1 convolution (MobileNet, arXiv 1704.04861)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.depthwise = MPConv(in_channels, in_channels, 3, depthwise=True)
        self.pointwise = MPConv(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


def plain(in_channels: int, out_channels: int) -> nn.Module:
    """One 3x3 convolution."""
    return MPConv(in_channels, out_channels, 3)


CONVOLUTIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "plain": plain,
    "multi_scale": MultiScaleConv,
    "separable": SeparableConv,
}
"""{value of model.convolution: function that makes it}."""
