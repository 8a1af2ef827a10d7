"""What the methods for students have in common: a frozen teacher, and the player "student"."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from dataset.slots import slot_indices
from dataset.store import ImageDataset
from foundation.workers import World
from models.denoiser import Denoiser
from sampling.config import SamplerConfig
from sampling.for_students import student_sampler
from training.batches import micro_batches
from training.distillation.pairs import TeacherPairs
from training.distillation.teacher import adapter_player, copy_player, load_teacher
from training.events import Report, pairs_each_second, silent
from training.learning_rates import learning_rate
from training.method import NO_GAME, Extra, Measurement
from training.players import Player
from training.run_settings import RunSettings
from training.students import DistributionMatchingConfig, PairsConfig, StudentConfig


class Distillation:
    """A method whose deployed player is a student that begins as a copy of a frozen teacher.

    Derived methods write `accumulate`. The teacher has no gradient and is part of no checkpoint:
    its file is an input of the run.
    """

    deployed = "student"

    def __init__(self, settings: RunSettings, dataset: ImageDataset, world: World):
        """Raises WeightsError for a teacher that does not fit the data set."""
        self.settings, self.dataset, self.world = settings, dataset, world
        self.tell: Report = silent
        """Called with PairsDrawn while the teacher draws (training/methods/build.py sets it)."""
        assert settings.teacher is not None, "a student has a teacher"
        self.teacher = load_teacher(settings.teacher, dataset, world)
        self.players: dict[str, Player] = {
            self.deployed: self.copy(self.deployed, settings.ema.tracked)
        }

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

    def copy(self, name: str, tracked: Sequence[float] | None, lr: float | None = None) -> Player:
        """A player that begins as the teacher: an adapter upon it if `rank` is above 0.

        Args:
            name: of the adapter.
            tracked: lengths of its averages; None: it is no student, and has none.
            lr: peak rate; None: train.lr.
        """
        train = self.settings.train
        scale = 1.0 if lr is None else lr / train.lr

        def rate(nimg: int) -> float:
            return scale * learning_rate(self.settings, nimg)

        adam = rate, train.adam_betas, train.grad_clip
        if self.config.rank:
            seed = self.settings.seed
            return adapter_player(self.teacher, name, self.config.rank, seed, *adam, tracked)
        return copy_player(self.teacher, *adam, tracked)

    def turns(self, step: int) -> Sequence[str]:
        return (self.deployed,)

    def parts(self, slots: range) -> list[range]:
        """This worker's share of the slots, in micro-batches."""
        return micro_batches(slots, self.world, self.settings.micro_batch)

    @cached_property
    def teacher_pairs(self) -> TeacherPairs:
        """The pairs of a kind that has some; the teacher draws those that are not kept already.

        All ranks ask for them at the same time, at the first step that needs them.
        """
        config, cache = self.config, self.settings.pairs_cache
        assert isinstance(config, PairsConfig | DistributionMatchingConfig)
        pairs = TeacherPairs(
            self.teacher,
            config.sampler,
            self.settings.seed,
            config.pairs,
            self.dataset,
            Path(cache) if cache else None,
        )
        pairs.make(self.world, pairs_each_second(self.tell))
        return pairs

    def pair_error(self, slots: range) -> Tensor:
        """Mean squared error [B] of one evaluation to the teacher's image of each slot's pair."""
        pairs = self.teacher_pairs
        rows = slot_indices(self.settings.seed, pairs.count, slots)
        noise, wanted, labels = (t.to(self.world.device) for t in pairs.batch(rows))
        start = pairs.sampler.start
        drawn = self.student(start * noise, noise.new_full((len(noise),), start), labels)
        return (drawn - wanted).square().mean((1, 2, 3))

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
        """The kind of the student beside the entries of a training without a game.

        With `rank` also how many of its parameters are trained.
        """
        trained = sum(p.numel() for p in self.players[self.deployed].own_parameters)
        low_rank = {"trained_parameters": trained} if self.config.rank else {}
        return {"student": self.config.kind} | low_rank | NO_GAME
