"""Magnitude-preserving layers: inputs of unit magnitude give outputs of unit magnitude.

No biases and no group norm; every weight row is kept at unit root mean square by
`normalize_weights`, called explicitly after each optimiser step.

Source: Karras et al., EDM2 (arXiv 2312.02696), section 2 and appendix B.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.exchange import Exchange, Overlapping, convolve_band, edge_weights

EPSILON = 1e-4


def _wide(x: Tensor) -> Tensor:
    """At least fp32: half precision is widened, double stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pixel_norm(x: Tensor, dim: int = 1) -> Tensor:
    """Scale each vector along `dim` to unit root mean square (EDM2, appendix B)."""
    mean_square = _wide(x).square().mean(dim, keepdim=True)
    return x * (mean_square + EPSILON**2).rsqrt().to(x.dtype)


def mp_silu(x: Tensor) -> Tensor:
    """SiLU scaled so that a unit normal input keeps unit magnitude (EDM2, Eq. 81)."""
    return F.silu(x) / 0.596


def mp_sum(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Blend (1 - t) a + t b, scaled back to unit magnitude (EDM2, Eq. 88)."""
    return torch.lerp(a, b, t) / math.hypot(1.0 - t, t)


def mp_cat(a: Tensor, b: Tensor, t: float = 0.5) -> Tensor:
    """Concatenate channels so that a and b contribute in proportion (1 - t) : t (EDM2, Eq. 103)."""
    n_a, n_b = a.shape[1], b.shape[1]
    scale = math.sqrt((n_a + n_b) / ((1.0 - t) ** 2 + t**2))
    return torch.cat(
        [a * (scale * (1.0 - t) / math.sqrt(n_a)), b * (scale * t / math.sqrt(n_b))], 1
    )


class MPConv(nn.Module):
    """Convolution (kernel 1, 3, ...) or linear map (kernel 0) of unit-norm weight rows, no bias.

    y = gain * conv(x, w / |w|): the stored weight has rows of unit root mean square, and the
    forward pass normalises them again so that averaged or externally changed weights behave and
    the gradient is orthogonal to each row (EDM2, Eq. 66). An adapter adds its update to the stored
    weight before that (models/layers/low_rank_adapter.py).

    Args:
        dilation: distance of the pixels that a kernel sees.
        depthwise: each channel has a kernel of its own; both numbers of channels are the same.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 0,
        dilation: int = 1,
        depthwise: bool = False,
    ):
        super().__init__()
        assert not depthwise or in_channels == out_channels
        self.dilation, self.groups = dilation, in_channels if depthwise else 1
        columns = in_channels // self.groups
        shape = (out_channels, columns, kernel, kernel)[: 4 if kernel else 2]
        self.weight = nn.Parameter(torch.randn(shape))
        self.adapters = nn.ModuleDict()
        self.active: str | None = None
        """Name of the adapter that acts, if any; `switched_on` and `keep_on` alone set it."""
        self.exchange: Exchange | Overlapping | None = None
        """Where images are cut into bands (models/bands); None: they are whole."""
        self.prepared: dict[tuple[str | None, torch.dtype], Tensor] | None = None
        """Weights that act, by adapter and dtype, inside `weights_prepared`; None outside."""
        self.prepared_edges: dict[tuple[str | None, torch.dtype], tuple[Tensor, Tensor]] = {}
        """Of `edge_weights`, likewise; empty outside."""
        self.normalize_()

    def forward(self, x: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        weight = self.weight_for(x.dtype, gain)
        if weight.ndim == 2:
            return x @ weight.T
        if weight.shape[-1] > 1 and self.exchange is not None:
            if isinstance(self.exchange, Overlapping):
                return self.exchange.convolve(x, weight)
            edges = self._edges(weight)
            return convolve_band(self.exchange, self, x, weight, edges, self.groups)
        padding = weight.shape[-1] // 2 * self.dilation
        return F.conv2d(x, weight, None, 1, padding, self.dilation, self.groups)

    def __getstate__(self) -> dict[str, Any]:
        """Without what contexts have lent it: a copy made inside of one belongs to none."""
        lent: dict[str, Any] = {"exchange": None, "prepared": None, "prepared_edges": {}}
        return {**self.__dict__, **lent}

    def weight_for(self, dtype: torch.dtype, gain: Tensor | float = 1.0) -> Tensor:
        """The weight that acts: with the active adapter, normalised, times the gain."""
        if self.prepared is not None:
            made = self.prepared.get((self.active, dtype))
            if made is None:
                with torch.no_grad():
                    made = self.prepared[self.active, dtype] = self._acting(dtype, gain)
            return made
        return self._acting(dtype, gain)

    def _edges(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        if self.prepared is None:
            return edge_weights(weight)
        if (self.active, weight.dtype) not in self.prepared_edges:
            self.prepared_edges[self.active, weight.dtype] = edge_weights(weight)
        return self.prepared_edges[self.active, weight.dtype]

    def _acting(self, dtype: torch.dtype, gain: Tensor | float) -> Tensor:
        weight = _wide(self.weight)
        if self.active is not None:
            weight = weight + self.adapters[self.active]().view_as(weight)
        rows = weight.flatten(1)
        norm = rows.norm(dim=1) + EPSILON * math.sqrt(rows.shape[1])
        weight = weight * (gain / norm).reshape(-1, *[1] * (weight.ndim - 1))
        return weight.to(dtype)

    @torch.no_grad()
    def normalize_(self) -> None:
        """Set every row's root mean square to one (forced normalisation, EDM2, section 2.3)."""
        rows = self.weight.flatten(1)
        rows.mul_(math.sqrt(rows.shape[1]) / rows.norm(dim=1, keepdim=True).clamp_min(EPSILON))


class MPFourier(nn.Module):
    """Random Fourier features of a scalar: [B] -> [B, N], each of unit variance (EDM2, Eq. 75)."""

    frequencies: Tensor
    phases: Tensor

    def __init__(self, num_channels: int):
        super().__init__()
        self.register_buffer("frequencies", 2 * math.pi * torch.randn(num_channels))
        self.register_buffer("phases", 2 * math.pi * torch.rand(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        angles = torch.outer(_wide(x), _wide(self.frequencies)) + _wide(self.phases)
        return angles.cos() * math.sqrt(2.0)


class MPEmbedding(nn.Module):
    """A learned table of vectors of unit root mean square, int64 [...] -> [..., width].

    Rows are normalised again in the forward pass, as those of MPConv are.
    """

    def __init__(self, count: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, width))
        self.normalize_()

    def forward(self, index: Tensor) -> Tensor:
        return pixel_norm(_wide(F.embedding(index, self.weight)), dim=-1)

    @torch.no_grad()
    def normalize_(self) -> None:
        """Set every row's root mean square to one."""
        norm = self.weight.norm(dim=1, keepdim=True).clamp_min(EPSILON)
        self.weight.mul_(math.sqrt(self.weight.shape[1]) / norm)


def normalize_weights(network: nn.Module) -> None:
    """Forced weight normalisation of every magnitude-preserving layer, after an optimiser step."""
    for module in network.modules():
        if isinstance(module, MPConv | MPEmbedding):
            module.normalize_()
