"""The method `regression`: one evaluation learns the teacher's image of the same noise."""

from torch import Tensor

from dataset.slots import slot_indices
from dataset.store import ImageDataset
from foundation.workers import World
from training.methods.denoising import autocast
from training.methods.distillation import Distillation, add_sums
from training.run_settings import RunSettings
from training.students import RegressionConfig


class Regression(Distillation):
    """Mean squared error to the teacher's images (Luhman and Luhman, arXiv 2101.02388).

    The expected image of similar noises is blurred where the teacher's map is steep: this is the
    control of the other methods.
    """

    def __init__(self, settings: RunSettings, dataset: ImageDataset, world: World):
        super().__init__(settings, dataset, world)
        config = self.config
        assert isinstance(config, RegressionConfig)
        self.level = config.levels[0]
        self.teacher_pairs = self.pairs(config.sampler, config.pairs)

    def losses(self, slots: range) -> Tensor:
        """Mean squared error of each slot's pair, [B]."""
        rows = slot_indices(self.settings.seed, self.teacher_pairs.count, slots)
        noise, wanted, labels = (t.to(self.world.device) for t in self.teacher_pairs.batch(rows))
        level = noise.new_full((len(noise),), self.level)
        with autocast(self.settings, self.world):
            drawn = self.student(self.level * noise, level, labels)
        return (drawn - wanted).square().mean((1, 2, 3))

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for part in self.parts(slots):
            losses = self.losses(part)
            (losses.sum() / len(slots)).backward()
            add_sums(sums, {"loss": losses})
        return sums
