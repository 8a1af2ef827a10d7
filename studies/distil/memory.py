"""How much of a network is trained, and kept in memory, at each rank of a student?

  python -m studies.distil.memory studies/assets/fashion_mnist_600kimg.safetensors --ranks 0,4,8,16

Builds the networks of distribution matching (teacher without adapters, student, critic) and counts
their numbers: weights, those that are shared once; gradients and Adam's two moments of all that is
trained; the student's two averages. Activations are not counted: they are those of whole networks
at every rank.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from models.config import EMAConfig

if TYPE_CHECKING:  # --help does without torch
    from torch import Tensor

    from models.denoiser import Denoiser
    from training.players import Player


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.distil.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("teacher", type=Path, help="weights (.safetensors) of the teacher")
    parser.add_argument("--ranks", default="0,4,8,16", help="default: %(default)s; 0: no adapter")
    options = parser.parse_args(arguments)
    from models.denoiser import load_denoiser, plain_copy

    teacher = plain_copy(load_denoiser(options.teacher))
    print("| rank | trained of the student | share | kept of three networks |")
    print("|---|---|---|---|")
    for rank in map(int, options.ranks.split(",")):
        trained, kept = numbers(teacher, rank)
        share = trained / numel(teacher.parameters())
        print(f"| {rank} | {trained:,} | {share:.1%} | {kept:,} |")


def numbers(teacher: "Denoiser", rank: int) -> tuple[int, int]:
    """(parameters of the student that are trained, numbers kept of teacher, student and critic)."""
    players = [player(teacher, rank, "student"), player(teacher, rank, "critic")]
    networks = (teacher, *(one.network for one in players))
    weights = {t.data_ptr(): t for network in networks for t in network.parameters()}
    trained = [numel(one.own_parameters) for one in players]
    averages = players[0].averages
    assert averages is not None
    averaged = sum(numel(average) for average in averages.averages.values())
    return trained[0], numel(weights.values()) + 3 * sum(trained) + averaged


def player(teacher: "Denoiser", rank: int, name: str) -> "Player":
    """The player that a student of this rank trains; a critic has no averages."""
    from training.distillation.teacher import adapter_player, copy_player

    adam = (lambda nimg: 1e-3), (0.9, 0.99), 1e6
    tracked = EMAConfig().tracked if name == "student" else None
    if rank:
        return adapter_player(teacher, name, rank, 0, *adam, tracked)
    return copy_player(teacher, *adam, tracked)


def numel(tensors: "Iterable[Tensor]") -> int:
    """How many numbers these tensors hold."""
    return sum(tensor.numel() for tensor in tensors)


if __name__ == "__main__":
    main()
