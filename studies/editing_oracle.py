"""How near inpainting comes to the conditional distribution, for each solver and number of passes.

  python -m studies.editing_oracle --passes 1,2,5,10,20,40

Data are Gaussian, two of four pixels are known, and what is drawn should have the conditional mean
and covariance, which are known in closed form. The denoiser is affine, so an edit is an affine
function of its noise: its mean is the result without any noise, and its covariance the sum of
A A^T over the matrices A of each draw of noise. Nothing is sampled, and the errors are exact.

Printed are (largest error of the mean in conditional standard deviations) / (largest error of the
covariance over the largest conditional variance).
"""

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from foundation.counted import counted
from pipelines.console.command import check_argument
from sampling.editing.edit import Edit
from sampling.editing.resampling import walk
from sampling.grids.table import time_grid
from sampling.solvers.table import adds_noise, make_solver

if TYPE_CHECKING:
    from torch import Tensor

SHAPE = (1, 2, 2)
_PLACES = np.arange(4)
COVARIANCE = 0.25 * np.exp(-0.5 * (_PLACES[:, None] - _PLACES) ** 2 / 1.5) + 0.01 * np.eye(4)
MEAN = np.array([0.3, -0.2, 0.1, 0.4])
DRAWN = np.array([[False, True], [True, False]])
IMAGE = np.array([[0.9, 0.0], [0.0, -0.5]])
GRIDS = (("karras", 18, 0.002, 80.0), ("log_snr", 24, 0.02, 10.0), ("log_snr", 48, 0.02, 10.0))
SOLVERS: tuple[tuple[str, dict], ...] = (
    ("heun", {}),
    ("ddim", {}),
    ("ddim", {"eta": 1.0}),
    ("dpmpp_2m", {}),
    ("unipc", {}),
)


def conditional() -> tuple[np.ndarray, np.ndarray]:
    """Mean [2] and covariance [2, 2] of what is drawn, given what is known."""
    drawn, known = np.flatnonzero(DRAWN), np.flatnonzero(~DRAWN)
    gain = COVARIANCE[np.ix_(drawn, known)] @ np.linalg.inv(COVARIANCE[np.ix_(known, known)])
    mean = MEAN[drawn] + gain @ (IMAGE.ravel()[known] - MEAN[known])
    return mean, COVARIANCE[np.ix_(drawn, drawn)] - gain @ COVARIANCE[np.ix_(known, drawn)]


class OneDraw:
    """Draw d of noise: unit vector j in row 4 d + j, 0 in all others; the last row is always 0."""

    def __init__(self, draws: int) -> None:
        self.draws, self.next = draws, 0

    def __call__(self, like: "Tensor | None" = None) -> "Tensor":
        """float64 [4 draws + 1, 1, 2, 2]."""
        import torch

        noise = torch.zeros(4 * self.draws + 1, 4, dtype=torch.float64)
        noise[4 * self.next : 4 * self.next + 4] = torch.eye(4, dtype=torch.float64)
        self.next += 1
        return noise.view(-1, *SHAPE)


def draws_of(edit: Edit, solver: str, options: dict, steps: int) -> int:
    """How often an edit draws noise: at its begin, at each way up, and where its solver does.

    Solvers that add noise do so in each step that does not end at 0.
    """
    runs = edit.runs(steps)
    own = 0
    if adds_noise(make_solver(solver, **options), [2.0, 1.0, 0.0]):
        own = sum(stop - start for start, stop in runs) - 1
    return len(runs) + own


def results(edit: Edit, solver: str, options: dict, sigmas: Sequence[float]) -> "Tensor":
    """Edits [4 draws + 1, 1, 2, 2] from the noise of `OneDraw`, with the exact denoiser."""
    import torch

    from models.analytic import GaussianDenoiser

    mean, covariance = torch.tensor(MEAN).view(SHAPE), torch.tensor(COVARIANCE)
    denoiser = GaussianDenoiser(SHAPE, mean, covariance=covariance)
    steps = len(sigmas) - 1
    normal = OneDraw(draws_of(edit, solver, options, steps))
    noise = normal()
    region, runs = edit.region(noise), edit.runs(steps)
    with torch.no_grad():
        out = walk(
            make_solver(solver, **options),
            region.hold(denoiser),
            region.begin(noise, sigmas[0], forgotten=True),
            list(sigmas),
            runs,
            normal,
            lambda step, x, denoised: None,
        )
    assert normal.next == normal.draws, (normal.next, normal.draws)
    return region.restore(out)


def errors(rows: "Tensor") -> tuple[float, float]:
    """Of the mean, in conditional deviations, and of the covariance, in its largest variance."""
    values = rows.reshape(len(rows), 4).numpy()[:, DRAWN.ravel()]
    parts = values[:-1] - values[-1]
    mean, covariance = conditional()
    most = float(covariance.diagonal().max())
    return (
        float(np.abs(values[-1] - mean).max()) / math.sqrt(most),
        float(np.abs(parts.T @ parts - covariance).max()) / most,
    )


def edit_errors(
    passes: int, solver: str, options: dict, sigmas: Sequence[float]
) -> tuple[float, float]:
    """`errors` of inpainting with so many passes."""
    edit = Edit(image=IMAGE[None], drawn=DRAWN, resample=passes)
    return errors(results(edit, solver, options, sigmas))


def main(arguments: list[str] | None = None) -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.editing_oracle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--passes", default="1,2,5,10,20", help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        passes = [int(word) for word in options.passes.split(",")]
        for number in passes:
            check_argument("--passes", number, 1, 100, "noise is followed draw by draw")
    except ValueError as error:
        parser.error(str(error))
    print(f"| solver | grid | {' | '.join(counted(number, 'pass') for number in passes)} |")
    print("|---" * (len(passes) + 2) + "|")
    for solver, chosen in SOLVERS:
        for name, steps, low, high in GRIDS:
            sigmas = time_grid(name, steps, low, high).tolist()
            found = [edit_errors(number, solver, chosen, sigmas) for number in passes]
            cells = " | ".join(f"{mean:.2f} / {spread:.2f}" for mean, spread in found)
            words = " ".join((solver, *(f"{key}={value:g}" for key, value in chosen.items())))
            print(f"| {words} | {name}, {steps} steps | {cells} |")


if __name__ == "__main__":
    main()
