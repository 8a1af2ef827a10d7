"""What the methods for students have in common: a frozen teacher, and the player "student"."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from dataset.store import ImageDataset
from foundation.workers import World
from models.denoiser import Denoiser
from sampling.config import SamplerConfig
from sampling.for_students import student_sampler
from training.distillation.pairs import TeacherPairs
from training.distillation.teacher import copy_player, load_teacher
from training.learning_rates import learning_rate
from training.method import Extra, Measurement
from training.players import Player
from training.run_settings import RunSettings
from training.students import StudentConfig


class Distillation:
    """A method whose deployed player is a student that begins as a copy of a frozen teacher.

    Derived methods write `accumulate`. The teacher has no gradient and is part of no checkpoint:
    its file is an input of the run.
    """

    deployed = "student"

    def __init__(self, settings: RunSettings, dataset: ImageDataset, world: World):
        """Raises WeightsError for a teacher that does not fit the data set."""
        self.settings, self.dataset, self.world = settings, dataset, world
        assert settings.teacher is not None, "a student has a teacher"
        self.teacher = load_teacher(settings.teacher, dataset, world)
        self.players: dict[str, Player] = {self.deployed: self.copy(settings.ema.tracked)}

    @property
    def config(self) -> StudentConfig:
        """The student's settings."""
        assert self.settings.student is not None
        return self.settings.student

    @property
    def student(self) -> Denoiser:
        """The network in training."""
        network = self.players[self.deployed].network
        assert isinstance(network, Denoiser)
        return network

    def copy(self, tracked: Sequence[float] | None, lr: float | None = None) -> Player:
        """A player that begins as the teacher. lr: peak rate; None: train.lr.

        tracked: lengths of its averages; None: it is no student, and has none.
        """
        train = self.settings.train
        scale = 1.0 if lr is None else lr / train.lr

        def rate(nimg: int) -> float:
            return scale * learning_rate(self.settings, nimg)

        return copy_player(self.teacher, rate, train.adam_betas, train.grad_clip, tracked)

    def turns(self, step: int) -> Sequence[str]:
        return (self.deployed,)

    def parts(self, slots: range) -> list[range]:
        """This worker's share of the slots, in micro-batches."""
        share = self.world.share(len(slots))
        micro = self.settings.micro_batch or (share.stop - share.start)
        starts = range(share.start, share.stop, micro)
        return [slots[start : min(start + micro, share.stop)] for start in starts]

    def pairs(self, sampler: SamplerConfig, count: int) -> TeacherPairs:
        """The teacher's pairs, drawn if they are not kept already. Call it on all ranks."""
        cache = self.settings.pairs_cache
        pairs = TeacherPairs(
            self.teacher,
            sampler,
            self.settings.seed,
            count,
            self.dataset,
            Path(cache) if cache else None,
        )
        pairs.make(self.world)
        return pairs

    def extra(self, turn: str, slots: range) -> Extra:
        return Extra()

    def measure(self, nimg: int) -> Measurement:
        """Nothing: a student has no denoising loss."""
        return Measurement({})

    def preview(self) -> SamplerConfig | None:
        """The sampler of the student's own levels."""
        return student_sampler(self.config.levels)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {}

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        pass

    def summary(self) -> dict[str, Any]:
        """The kind of the student beside the entries of a training without a game."""
        return {"student": self.config.kind, "structure_kind": "none", "structure_plays": 0} | {
            "gate": {}
        }


def add_sums(sums: dict[str, Tensor], losses: Mapping[str, Tensor]) -> None:
    """Add the sum over images of each loss [B] to `sums`, as float64."""
    for name, values in losses.items():
        total = values.detach().sum().double()
        sums[name] = sums[name] + total if name in sums else total
