"""Makes the optimiser that settings name.

After each step every weight row is brought back to unit root mean square (forced weight
normalisation), so the length of a step against the row is all that counts. Decay of such rows is
no regularisation: a step of AdamW with rate lr and decay d, then normalised, is a step of Adam with
rate lr / (1 - lr d). Only gains, which are no rows, decay. The game's adapter does not; one that is
tuned (train.tuned) does, towards the weights that it tunes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from training.config import TrainConfig
from training.optimizers.matrices import hidden_matrices
from training.optimizers.muon import Muon

Groups = Sequence[dict[str, Any]]
"""[{"params": parameters}, ...]: the network's own, and those that extra gradients alone move."""


def adam(network: nn.Module, groups: Groups, train: TrainConfig) -> torch.optim.Optimizer:
    """Adam (arXiv 1412.6980)."""
    return torch.optim.Adam(groups, lr=train.lr, betas=train.adam_betas)


def adamw(network: nn.Module, groups: Groups, train: TrainConfig) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (arXiv 1711.05101)."""
    decays = [train.weight_decay] + [0.0] * (len(groups) - 1)
    decayed = [{**group, "weight_decay": d} for group, d in zip(groups, decays, strict=True)]
    return torch.optim.AdamW(decayed, lr=train.lr, betas=train.adam_betas)


def muon(network: nn.Module, groups: Groups, train: TrainConfig) -> torch.optim.Optimizer:
    """Muon for hidden weight matrices, Adam for the rest; adapters are not among the matrices."""
    own = {id(parameter) for parameter in groups[0]["params"]}
    matrices = [m for m in hidden_matrices(network) if id(m.parameter) in own]
    return Muon(groups, matrices, lr=train.lr, betas=train.adam_betas)


OPTIMIZERS: dict[str, Callable[[nn.Module, Groups, TrainConfig], torch.optim.Optimizer]] = {
    "adam": adam,
    "adamw": adamw,
    "muon": muon,
}
"""{value of train.optimizer: function that makes it}."""


def make_optimizer(network: nn.Module, groups: Groups, train: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of settings for a network's parameter groups."""
    return OPTIMIZERS[train.optimizer](network, groups, train)
