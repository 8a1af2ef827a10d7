"""Resampling: each step of the time grid is taken several times, with the noise added back between.

Source: Lugmayr et al., RePaint (CVPR 2022, arXiv 2201.09865), algorithm 1.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, Solver

if TYPE_CHECKING:
    from torch import Tensor


def descents(first: int, steps: int, passes: int) -> list[tuple[int, int]]:
    """The runs downwards, (from, to) in numbers of noise levels, that take each step so often.

    Between two of them the walk goes up by one step. Two passes of a grid of 3 steps are (0, 1),
    (0, 2), (1, 3). One pass is one run over all steps from `first`; no step is no run.

    The last step is taken once. It ends at noise level 0 with x = D(x), a mean: with further passes
    each would narrow the spread of the images, in the limit to half of their variance.
    """
    runs, begin = [], first
    for step in range(first, steps - 1):
        for _ in range(passes - 1):
            runs.append((begin, step + 1))
            begin = step
    return [*runs, (begin, steps)] if first < steps else []


def part_of(solver: Solver, run: tuple[int, int], steps: int) -> Solver:
    """The solver for one run of a grid of `steps` steps, in which each step is as in the whole."""
    return solver.for_share((run[1] - run[0]) / steps)


def evaluations(solver: Solver, levels: Sequence[float], runs: Sequence[tuple[int, int]]) -> int:
    """Denoiser evaluations (NFE) of a walk over these runs."""
    steps = len(levels) - 1
    return sum(
        part_of(solver, run, steps).evaluations(list(levels[run[0] : run[1] + 1])) for run in runs
    )


def walk(
    solver: Solver,
    denoise: Denoise,
    x: "Tensor",
    levels: list[float],
    runs: Sequence[tuple[int, int]],
    normal: NormalSource,
    report: Report,
    renoised: Callable[[], None] = lambda: None,
) -> "Tensor":
    """x [B, C, H, W] after all runs of `descents`; x holds noise of the first run's first level.

    From sigma' up to sigma, x + sqrt(sigma^2 - sigma'^2) n with fresh n. Each run is one of the
    solver: a multistep solver forgets what it knew before the noise came in, since it is of another
    path, and begins again with a step of first order. report gets the step's number in the grid.
    renoised: called where noise was added back.
    """
    steps = len(levels) - 1
    for number, run in enumerate(runs):
        start, stop = run
        if number:
            reached = runs[number - 1][1]
            x = x + math.sqrt(levels[start] ** 2 - levels[reached] ** 2) * normal(x)
            renoised()
        x = part_of(solver, run, steps).run(
            denoise, x, levels[start : stop + 1], normal, _from_step(start, report)
        )
    return x


def _from_step(start: int, report: Report) -> Report:
    return lambda step, x, denoised: report(start + step, x, denoised)
