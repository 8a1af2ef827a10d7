"""A low-rank adapter: a second behaviour of the denoiser that leaves the first as it was, bit by bit."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class LowRank(nn.Module):
    """The update up @ down of a layer's weight, zero at first (LoRA, arXiv 2106.09685, Eq. 3).

    Its layer applies it only while it is `active`, which `switched_on` alone decides.
    """

    def __init__(self, rows: int, columns: int, rank: int):
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, columns) / rank**0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))
        self.active = False

    def forward(self) -> Tensor:
        """[rows, columns], in units of the weight's own root mean square of one."""
        return self.up @ self.down


class AdaptedDenoiser(nn.Module):
    """The denoiser with its adapter switched on; the same contract, the same weights."""

    def __init__(self, denoiser: nn.Module):
        super().__init__()
        if not isinstance(denoiser, nn.Module) or not adapter_parameters(denoiser):
            raise ValueError(
                "the sampler switches on the denoiser's adapter, but this denoiser has none: "
                "train it with model.adapter_rank above 0, or set the sampler's adapter to false"
            )
        self.denoiser = denoiser
        self.sigma_data: float = denoiser.sigma_data  # type: ignore[assignment]
        self.image_shape: tuple[int, int, int] = denoiser.image_shape  # type: ignore[assignment]
        self.num_classes: int = denoiser.num_classes  # type: ignore[assignment]

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        with switched_on(self.denoiser):
            return self.denoiser(x, sigma, labels)


@contextmanager
def switched_on(network: nn.Module) -> Iterator[None]:
    """Every adapter in the network acts inside, and none after."""
    adapters = [module for module in network.modules() if isinstance(module, LowRank)]
    for adapter in adapters:
        adapter.active = True
    try:
        yield
    finally:
        for adapter in adapters:
            adapter.active = False


def adapter_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters of all adapters in the network; none where it has no adapter."""
    found = (module for module in network.modules() if isinstance(module, LowRank))
    return [parameter for adapter in found for parameter in adapter.parameters()]
