"""The method `regression`: one evaluation learns the teacher's image of the same noise."""

from torch import Tensor

from training.batches import add_sums
from training.methods.denoising import autocast
from training.methods.distillation import Distillation


class Regression(Distillation):
    """Mean squared error to the teacher's images (Luhman and Luhman, arXiv 2101.02388).

    The expected image of similar noises is blurred where the teacher's map is steep: this is the
    control of the other methods.
    """

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for part in self.parts(slots):
            with autocast(self.settings, self.world):
                losses = self.pair_error(part)
            (losses.sum() / len(slots)).backward()
            add_sums(sums, {"loss": losses})
        return sums
