"""Finds out whether this machine computes bf16 slower than fp32.

Processors without bf16 units emulate it, some of them at a tenth of the speed. They are asked by a
small convolution in both, since no list of processors would stay complete.
"""

import time
from collections.abc import Callable

import torch

from foundation.machine_load import busy_remark

TOLERATED = 1.3
"""bf16 may be so many times slower than fp32 without a word; timings differ by about a tenth."""


def precision_note(
    precision: str, device: torch.device, slowdown: Callable[[], float] | None = None
) -> str | None:
    """A line for the user if train.precision is slower than fp32 on this device; else None.

    slowdown: bf16_slowdown, or another measurement.
    """
    if precision != "bf16":
        return None
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return None
        return "this GPU has no bf16 units and emulates them: set train.precision to fp32"
    times = (slowdown or bf16_slowdown)()
    return f"{compared(times)}: set train.precision to fp32" if times > TOLERATED else None


def compared(times: float) -> str:
    """Words for bf16 taking `times` as long as fp32; they say so where the figure is rough."""
    busy = busy_remark()
    rough = f" ({busy})" if busy else ""
    if times > TOLERATED:
        return f"bf16 is {_number(times)} times slower than fp32 on this processor{rough}"
    if times < 1 / TOLERATED:
        return f"bf16 is {_number(1 / times)} times faster than fp32 on this processor{rough}"
    return f"bf16 and fp32 are equally fast on this processor{rough}"


def bf16_slowdown(rounds: int = 3) -> float:
    """Processor time of a convolution and its gradients under bf16 autocast, over that in fp32.

    The least of several rounds each, since the first prepares the kernels.
    """
    fp32, bf16 = (min(_seconds(half) for _ in range(rounds)) for half in (False, True))
    return bf16 / fp32


def _number(times: float) -> str:
    return f"{times:.0f}" if times >= 10 else f"{times:.1f}"


def _seconds(half: bool) -> float:
    """Processor time, which other processes lengthen less than the time on the wall."""
    images = torch.ones(8, 64, 16, 16, requires_grad=True)  # [B, C, H, W]
    weights = torch.ones(64, 64, 3, 3, requires_grad=True)
    begin = time.process_time()
    with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        torch.nn.functional.conv2d(images, weights, padding=1).float().sum().backward()
    return time.process_time() - begin
