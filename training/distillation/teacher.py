"""The frozen teacher of a student, and players that begin as it."""

from collections.abc import Sequence
from pathlib import Path

import torch

from dataset.store import ImageDataset
from foundation.workers import World
from models.codecs import make_codec
from models.denoiser import Denoiser, load_denoiser, plain_copy
from models.layers.low_rank_adapter import add_adapters, keep_on
from models.power_ema import PowerEMA
from models.weights import WeightsError
from training.initial_weights import drawn_by
from training.players import Player, Rate


def load_teacher(path: str | Path, dataset: ImageDataset, world: World) -> Denoiser:
    """The teacher on this worker's device, frozen and in evaluation mode.

    Raises WeightsError if its images or classes are not those of the data set.
    """
    teacher = load_denoiser(Path(path))
    shape = make_codec(dataset.codec).data_shape(dataset.image_shape)
    if teacher.image_shape != shape:
        raise WeightsError(
            f"the teacher {path} draws images {list(teacher.image_shape)}, and the data set has "
            f"{list(shape)}: give the weights of a denoiser of this data set"
        )
    if teacher.num_classes not in (0, dataset.num_classes):
        raise WeightsError(
            f"the teacher {path} knows {teacher.num_classes} classes, and the data set has "
            f"{dataset.num_classes}: give the weights of a denoiser of this data set"
        )
    if teacher.codec.describe() != make_codec(dataset.codec).describe():
        raise WeightsError(
            f"the teacher {path} draws latents of another autoencoder, or standardised by other "
            "constants, than the data set's: give the weights of a denoiser of this data set"
        )
    teacher.codec.look_near(dataset.stored_in)
    return teacher.to(world.device).eval().requires_grad_(False)


def copy_player(
    teacher: Denoiser,
    rate: Rate,
    betas: tuple[float, float],
    clip: float,
    tracked: Sequence[float] | None,
) -> Player:
    """A copy of the teacher's own weights, without its adapters, with an Adam of its own.

    Args:
        rate: learning rate over images.
        betas: Adam's moment decays.
        clip: largest norm of a gradient.
        tracked: lengths of the averages of a student, whose loss has no learned uncertainty, so
            that this part stays the teacher's; None: of a critic no average is kept.
    """
    network = plain_copy(teacher).train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(tracked is None or not name.startswith("uncertainty"))
    return _player(network, None, rate, betas, clip, tracked)


def adapter_player(
    teacher: Denoiser,
    name: str,
    rank: int,
    seed: int,
    rate: Rate,
    betas: tuple[float, float],
    clip: float,
    tracked: Sequence[float] | None,
) -> Player:
    """A denoiser whose weights are the teacher's own tensors, with an adapter that always acts.

    The adapter alone is trained, averaged and saved; at first it changes nothing. A student has
    none on the learned uncertainty, of which its loss has none.

    Args:
        name: of the adapter; together with the seed it decides the initial weights.
        rank: of the update of each layer, less in smaller layers.
        rate, betas, clip, tracked: as of `copy_player`.
    """
    network = plain_copy(teacher, shared=True).train()
    with drawn_by(f"adapter {name}", seed):
        add_adapters(network if tracked is None else network.unet, name, rank)
    keep_on(network, name)
    return _player(network, name, rate, betas, clip, tracked)


def _player(
    network: Denoiser,
    adapter: str | None,
    rate: Rate,
    betas: tuple[float, float],
    clip: float,
    tracked: Sequence[float] | None,
) -> Player:
    named = [(n, p) for n, p in network.named_parameters() if adapter is None or p.requires_grad]
    return Player(
        network=network,
        optimizer=torch.optim.Adam(
            [{"params": [p for _, p in named if p.requires_grad]}], lr=rate(0), betas=betas
        ),
        rates={"lr": rate},
        clip=clip,
        averages=None if tracked is None else PowerEMA(named, tracked),
        adapter=adapter,
    )
