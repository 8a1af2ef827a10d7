"""Where networks run and how: device, precision, memory format, compiled parts."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

REPEATED = (
    *("ResidualBlock", "CosineAttention"),  # ours
    *("ResnetBlock2D", "ResnetBlock", "Attention", "LinearAttention"),  # the peers'
)
"""Classes whose modules are compiled one by one: what repeats is compiled once for each shape."""


SHAPES = 64
"""So many shapes of one part may be compiled."""


@dataclass(frozen=True)
class Place:
    """A device, and what is asked of it."""

    device: str = "cpu"
    bf16: bool = False
    """Networks under bf16 autocast; weights and losses stay fp32."""
    channels_last: bool = False
    """Of our network; each peer has its faster memory format."""
    compiled: bool = False

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16, or a context that does nothing."""
        return torch.autocast(self.device, torch.bfloat16) if self.bf16 else nullcontext()

    def finished(self) -> None:
        """Wait for the GPU."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def put(self, network: nn.Module, channels_last: bool) -> nn.Module:
        """The network itself, on the device, in a memory format, compiled where that is asked."""
        network.to(self.device)
        if channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.compiled:
            compile_regions(network)
        return network


def compile_regions(network: nn.Module) -> int:
    """Compile the repeated parts of a network in place; returns how many there are.

    A part inside another is compiled with it. Shapes are static, so each is compiled for itself.
    """
    if type(network).__name__ in REPEATED:
        torch._dynamo.config.recompile_limit = SHAPES
        network.compile(dynamic=False)
        return 1
    return sum(compile_regions(child) for child in network.children())
