"""The frozen teacher of a student, and players that begin as copies of it."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from dataset.store import ImageDataset
from foundation.workers import World
from models.denoiser import Denoiser, load_denoiser
from models.layers.low_rank_adapter import adapter_parameters
from models.power_ema import PowerEMA
from models.weights import WeightsError
from training.learning_rates import learning_rate
from training.players import Player
from training.run_settings import RunSettings


def load_teacher(settings: RunSettings, dataset: ImageDataset, world: World) -> Denoiser:
    """The teacher on this worker's device, frozen and in evaluation mode.

    Raises WeightsError if its images or classes are not those of the data set.
    """
    assert settings.teacher is not None, "a student has a teacher"
    teacher = load_denoiser(Path(settings.teacher))
    shape = teacher.codec.data_shape(dataset.image_shape)
    if teacher.image_shape != shape:
        raise WeightsError(
            f"the teacher {settings.teacher} draws images {list(teacher.image_shape)}, and the "
            f"data set has {list(shape)}: give the weights of a denoiser of this data set"
        )
    if teacher.num_classes not in (0, dataset.num_classes):
        raise WeightsError(
            f"the teacher {settings.teacher} knows {teacher.num_classes} classes, and the data set "
            f"has {dataset.num_classes}: give the weights of a denoiser of this data set"
        )
    return teacher.to(world.device).eval().requires_grad_(False)


def copy_player(
    settings: RunSettings, teacher: Denoiser, lr: float | None = None, *, averaged: bool
) -> Player:
    """A copy of the teacher with an Adam of its own; adapters stay as they are, and off.

    lr: peak rate, in place of train.lr. averaged: it is the student, whose tracked averages are
    kept, and whose loss has no learned uncertainty: that stays the teacher's.
    """
    network = copy.deepcopy(teacher).train()
    still = {id(parameter) for parameter in adapter_parameters(network)}
    if averaged:
        still |= {id(p) for n, p in network.named_parameters() if n.startswith("uncertainty")}
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) not in still)
    own = [p for p in network.parameters() if p.requires_grad]
    train = settings.train
    scale = 1.0 if lr is None else lr / train.lr
    return Player(
        network=network,
        optimizer=torch.optim.Adam([{"params": own}], lr=train.lr, betas=train.adam_betas),
        rates={"lr": partial(_scaled, partial(learning_rate, settings), scale)},
        clip=train.grad_clip,
        averages=PowerEMA(network.named_parameters(), settings.ema.tracked) if averaged else None,
    )


def _scaled(rate: Callable[[int], float], scale: float, nimg: int) -> float:
    return scale * rate(nimg)
