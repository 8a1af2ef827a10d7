"""All solvers by name, and `solve`, the one way to run them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sampling.grids.levels import check_sigmas
from sampling.options import build
from sampling.seeds import normal_source
from sampling.solvers.adaptive_heun import AdaptiveHeun
from sampling.solvers.consistency import Consistency
from sampling.solvers.ddim import DDIM
from sampling.solvers.dpmpp_2m import DPMpp2M
from sampling.solvers.heun import Heun
from sampling.solvers.step import Denoise, Solver
from sampling.solvers.unipc import UniPC

if TYPE_CHECKING:
    from torch import Generator, Tensor

SOLVERS: dict[str, type[Solver]] = {
    "ddim": DDIM,
    "heun": Heun,
    "dpmpp_2m": DPMpp2M,
    "unipc": UniPC,
    "consistency": Consistency,
    "adaptive_heun": AdaptiveHeun,
}


def make_solver(name: str, **options: float | int | str | bool) -> Solver:
    """The named solver with its options set; ValueError on an unknown name, option or value."""
    return build("solver", name, SOLVERS, options)


def solve(
    name: str,
    denoise: Denoise,
    noise: "Tensor",
    sigmas: "Tensor | Sequence[float]",
    *,
    generators: "Sequence[Generator] | None" = None,
    callback: "Callable[[int, Tensor, Tensor], None] | None" = None,
    **options: float | int | str | bool,
) -> "Tensor":
    """Turn noise into images: integrate along the time grid with the named solver.

    Args:
        denoise: denoise(x [B, C, H, W], sigma [B]) -> x0 [B, C, H, W].
        noise: unit normal [B, C, H, W]; it is scaled by sigmas[0] here.
        sigmas: strictly decreasing, usually to 0; if they end above 0, the result is x at the last.
        generators: one per image, for solvers that add noise; None: torch's global generator.
        callback: called as callback(step, x, x0) after each step.

    Returns images [B, C, H, W] in the dtype of `noise`. Raises ValueError for unknown names and
    options and for a bad grid, before any evaluation.
    """
    solver = make_solver(name, **options)
    return run_solver(solver, denoise, noise, sigmas, generators=generators, callback=callback)


def run_solver(
    solver: Solver,
    denoise: Denoise,
    noise: "Tensor",
    sigmas: "Tensor | Sequence[float]",
    *,
    generators: "Sequence[Generator] | None" = None,
    callback: "Callable[[int, Tensor, Tensor], None] | None" = None,
) -> "Tensor":
    """What `solve` does, with a solver whose options are set."""
    levels = check_sigmas(sigmas)
    if not noise.is_floating_point() or noise.ndim < 2:
        raise ValueError(
            f"noise is {noise.dtype} {tuple(noise.shape)}: pass floating point [B, C, H, W]"
        )
    normal = normal_source(generators, noise.shape[0])
    report = callback if callback is not None else _no_report
    return solver.run(denoise, noise * levels[0], levels, normal, report)


def evaluated_levels(solver: Solver, sigmas: "Tensor | Sequence[float]") -> list[float]:
    """The noise levels at which the solver calls the denoiser, in the order of the calls."""
    return _calls(solver, sigmas)[0]


def adds_noise(solver: Solver, sigmas: "Tensor | Sequence[float]") -> bool:
    """Whether the solver draws fresh noise on this time grid, so that it is not deterministic."""
    return _calls(solver, sigmas)[1] > 0


def _calls(solver: Solver, sigmas: "Tensor | Sequence[float]") -> tuple[list[float], int]:
    """(noise levels of the denoiser's calls, number of draws of fresh noise) of a run."""
    import torch

    levels: list[float] = []
    draws = 0

    def record(x: "Tensor", sigma: "Tensor") -> "Tensor":
        levels.append(float(sigma[0]))
        return x

    def nothing(x: "Tensor") -> "Tensor":
        nonlocal draws
        draws += 1
        return torch.zeros_like(x)

    one = torch.zeros(1, 1, dtype=torch.float64)
    solver.run(record, one, check_sigmas(sigmas), nothing, _no_report)
    return levels, draws


def _no_report(step: int, x: "Tensor", denoised: "Tensor") -> None:
    """The callback where none was given."""
