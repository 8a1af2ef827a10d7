"""All solvers by name, and `solve`, the one way to run them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sampling.grids.levels import check_sigmas
from sampling.options import build
from sampling.seeds import normal_source
from sampling.solvers.consistency import Consistency
from sampling.solvers.ddim import DDIM
from sampling.solvers.dpmpp_2m import DPMpp2M
from sampling.solvers.heun import Heun
from sampling.solvers.step import Denoise
from sampling.solvers.unipc import UniPC

if TYPE_CHECKING:
    from torch import Generator, Tensor

Solver = DDIM | Heun | DPMpp2M | UniPC | Consistency

SOLVERS: dict[str, type[Solver]] = {
    "ddim": DDIM,
    "heun": Heun,
    "dpmpp_2m": DPMpp2M,
    "unipc": UniPC,
    "consistency": Consistency,
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
    """Carry noise along the time grid with the named solver.

    noise: unit normal [B, C, H, W], scaled by sigmas[0] here; the result keeps its dtype.
    denoise(x [B, C, H, W], sigma [B]) -> x0. sigmas: strictly decreasing, usually ending in 0; a
    grid that ends above 0 gives x at that sigma. generators: one per image, used by solvers that
    add noise (torch's global generator without). callback(step, x, x0) after each step.
    Raises ValueError on unknown names and options and on a bad grid, before any evaluation.
    """
    solver = make_solver(name, **options)
    levels = check_sigmas(sigmas)
    if not noise.is_floating_point() or noise.ndim < 2:
        raise ValueError(
            f"noise is {noise.dtype} {tuple(noise.shape)}: pass floating point [B, C, H, W]"
        )
    normal = normal_source(generators, noise.shape[0])
    report = callback if callback is not None else _no_report
    return solver.run(denoise, noise * levels[0], levels, normal, report)


def evaluated_levels(solver: Solver, sigmas: "Tensor | Sequence[float]") -> list[float]:
    """The noise levels at which the solver calls the denoiser on its way, in order."""
    import torch

    levels: list[float] = []

    def record(x: "Tensor", sigma: "Tensor") -> "Tensor":
        levels.append(float(sigma[0]))
        return x

    # A generator of its own: a solver that adds noise leaves no trace in torch's global one.
    normal = normal_source([torch.Generator()], 1)
    nothing = torch.zeros(1, 1, dtype=torch.float64)
    solver.run(record, nothing, check_sigmas(sigmas), normal, _no_report)
    return levels


def _no_report(step: int, x: "Tensor", denoised: "Tensor") -> None:
    """The callback of a run that nobody watches."""
