"""Finds settings of fine-tuning that do not fit the rest; reading them does not import torch."""

from collections.abc import Iterator

from models.config import ModelConfig
from training.config import TrainConfig
from training.structure.config import StructureConfig
from training.students import STUDENTS


def fine_tuning_refusals(
    train: TrainConfig, model: ModelConfig, structure: StructureConfig
) -> Iterator[str]:
    """One line for each problem, with the YAML path and the mend."""
    if train.init_copy == "overlap" and train.init_from is None:
        yield (
            "train.init_copy: overlap copies from the weights of train.init_from, which is null: "
            "name them there, or leave matching here"
        )
    if train.tuned == "all":
        return
    key = f"train.tuned: {train.tuned}"
    if train.method in (*STUDENTS, "autoencoder"):
        yield (
            f"{key} tunes a denoiser, and train.method {train.method} trains none from data: leave "
            "all here (a student has a `rank` of its own)"
        )
        return
    if train.init_from is None:
        yield (
            f"{key} leaves the other weights as train.init_from gives them, which is null: name "
            "weights there, or set train.tuned: all"
        )
    if train.optimizer == "muon":
        yield (
            f"{key} trains none of the weight matrices that muon moves: set train.optimizer: adam, "
            "and a rate near 0.01"
        )
    if structure.kind != "none":
        yield (
            f"{key} does not go with the structure game, which moves the network's weights or an "
            "adapter of its own: set structure.kind: none, or train.tuned: all"
        )
    if model.adapter_rank:
        yield (
            f"{key} would leave the game's adapter (model.adapter_rank {model.adapter_rank}) upon "
            "weights that it was not trained with: set model.adapter_rank: 0, or train.tuned: all"
        )
