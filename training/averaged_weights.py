"""The denoiser with its averaged weights: a frozen copy, or itself for a while."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from models.denoiser import Denoiser
from models.layers.low_rank_adapter import adapter_parameters
from training.state.train_state import TrainState


def ema_denoiser(state: TrainState, sigma_rel: float) -> Denoiser:
    """A frozen copy of the denoiser with the averaged weights of one tracked length."""
    frozen = copy.deepcopy(state.denoiser).eval().requires_grad_(False)
    frozen.load_state_dict(state.ema.state(sigma_rel), strict=False)
    return frozen


@contextmanager
def averaged(state: TrainState, sigma_rel: float) -> Iterator[None]:
    """Inside, the network in training bears the averaged weights; its adapter keeps its own.

    Nothing is copied, and its parameters remain the same objects.
    """
    own = {id(parameter) for parameter in adapter_parameters(state.denoiser)}
    means = state.ema.state(sigma_rel)
    pairs = [(p, means[n]) for n, p in state.denoiser.named_parameters() if id(p) not in own]
    kept = [parameter.data for parameter, _ in pairs]
    for parameter, mean in pairs:
        parameter.data = mean.to(parameter.dtype)
    try:
        yield
    finally:
        for (parameter, _), data in zip(pairs, kept, strict=True):
            parameter.data = data
