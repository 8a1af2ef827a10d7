"""What all solvers share: their interface, and one evaluation of a bound denoiser."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

from sampling.options import Options
from sampling.seeds import NormalSource

Denoise = Callable[["Tensor", "Tensor"], "Tensor"]
"""denoise(x [B, C, H, W], sigma [B]) -> x0 [B, C, H, W]; the labels are filled in already."""

Report = Callable[[int, "Tensor", "Tensor"], None]
"""report(step, x after the step, last x0); a solver calls it once per step."""


class Solver(Options):
    """Carries images along a time grid; its fields are its options."""

    def evaluations(self, sigmas: list[float]) -> int:
        """Denoiser evaluations (NFE) of a run over these noise levels; by default one a step."""
        return len(sigmas) - 1

    def unlike_the_last(self) -> str | None:
        """Why an evaluation sees noise that the one before did not see, which displaced bands
        cannot have; None: it sees the same, less of it."""
        return None

    def fresh_noise(self) -> str | None:
        """Why its images depend on noise drawn on the way; None: they depend on the first alone."""
        return self.unlike_the_last()

    def own_steps(self) -> str | None:
        """Why the levels that it visits are not those of the time grid; None: they are."""
        return None

    def for_share(self, share: float) -> "Solver":
        """The solver for a run over so large a share of a time grid's steps, each of which it takes
        as in a run over all of them; by default itself."""
        return self

    def run(
        self,
        denoise: Denoise,
        x: "Tensor",
        sigmas: list[float],
        normal: NormalSource,
        report: Report,
    ) -> "Tensor":
        """Take x [B, C, H, W] from sigmas[0] to sigmas[-1], which is 0 or above.

        normal(x) draws fresh unit noise like x, each image from a generator of its own. A step from
        the first level to 0 alone is one evaluation.
        """
        raise NotImplementedError


def evaluate(denoise: Denoise, x: "Tensor", sigma: float) -> "Tensor":
    """D(x; sigma) with one noise level for the whole batch, in x's dtype."""
    import torch

    exact = torch.promote_types(x.dtype, torch.float32)  # float16 would round sigma
    levels = torch.full((x.shape[0],), sigma, dtype=exact, device=x.device)
    return denoise(x, levels).to(x.dtype)


def evaluate_some(denoise: Denoise, x: "Tensor", sigmas: "Tensor", rows: "Tensor") -> "Tensor":
    """D of some images of a batch at noise levels of their own: [n, C, H, W], in x's dtype.

    A denoiser with a method `of_rows` is asked about these alone, any other about all of x.

    Args:
        x: the whole batch [B, C, H, W].
        sigmas: above 0, [B].
        rows: numbers of the wanted images in the batch, int64 [n] on the CPU.
    """
    import torch

    exact = torch.promote_types(x.dtype, torch.float32)
    levels = sigmas.to(x.device, exact)
    if len(rows) == len(x):
        return denoise(x, levels).to(x.dtype)
    rows = rows.to(x.device)
    if hasattr(denoise, "of_rows"):
        return denoise.of_rows(rows)(x[rows], levels[rows]).to(x.dtype)
    return denoise(x, levels)[rows].to(x.dtype)
