"""Runs a solver on an edit: begins at the noisy image, holds what is known, resamples."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sampling.editing.edit import Edit
from sampling.editing.resampling import walk
from sampling.editing.strength import first_step
from sampling.grids.levels import check_sigmas
from sampling.seeds import normal_source
from sampling.solvers.step import Denoise, Solver

if TYPE_CHECKING:
    from torch import Generator, Tensor


def solve_edit(
    edit: Edit,
    solver: Solver,
    denoise: Denoise,
    noise: "Tensor",
    sigmas: "Tensor | Sequence[float]",
    *,
    generators: "Sequence[Generator] | None" = None,
    callback: "Callable[[int, Tensor, Tensor], None] | None" = None,
    renoised: "Callable[[], None]" = lambda: None,
) -> "Tensor":
    """Edited images [B, C, H, W] in the dtype of `noise`, each from its own noise.

    Where the image is known, the result equals it bit for bit. With nothing known and strength 1 it
    is what `sampling.solvers.solve` gives, bit for bit. For the arguments see there. renoised:
    called where resampling added noise.

    Sources: SDEdit (arXiv 2108.01073) for strength, RePaint (arXiv 2201.09865) for resampling.
    """
    levels = check_sigmas(sigmas)
    steps = len(levels) - 1
    region, runs = edit.region(noise), edit.runs(steps)
    if not runs:
        return region.image.expand_as(noise).clone()
    begin = levels[first_step(edit.strength, steps)]
    x = region.begin(noise, begin, forgotten=edit.strength == 1)
    normal = normal_source(generators, len(noise))
    report = callback if callback is not None else _no_report
    x = walk(solver, region.hold(denoise), x, levels, runs, normal, report, renoised)
    return region.restore(x)


def _no_report(step: int, x: "Tensor", denoised: "Tensor") -> None:
    """The callback where none was given."""
