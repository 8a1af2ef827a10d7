"""Helps to play in parts: rows of a batch pass the denoiser part by part."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def accumulate(
    gradients: list[Tensor | None],
    features: Tensor,
    weight: Tensor,
    parameters: list[nn.Parameter],
    wanted: list[bool],
) -> None:
    """Add d sum(features * weight) / d parameters to the entries of `gradients` that are wanted."""
    chosen = [index for index, asked in enumerate(wanted) if asked]
    found = torch.autograd.grad(
        features, [parameters[index] for index in chosen], weight, allow_unused=True
    )
    for index, new in zip(chosen, found, strict=True):
        if new is not None:
            old = gradients[index]
            gradients[index] = new if old is None else old + new


def split_rows(count: int, size: int | None) -> list[slice]:
    """Rows 0 .. count in consecutive slices of at most `size`."""
    step = count if size is None else min(size, count)
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Context in which the module is in evaluation mode; afterwards it has its former mode."""
    mode = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(mode)
