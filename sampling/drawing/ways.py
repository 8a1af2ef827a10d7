"""The paths on which a sampler takes the same noise along different noise levels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sampling.solvers.step import Denoise, Solver
from sampling.solvers.table import make_solver, run_solver


class SamplerWays:
    """The `Ways` that grid fitted compares (sampling/grids/fit.py).

    States are float64, so that small changes of a level show; the denoiser is asked in the noise's
    own precision. Solvers must be deterministic.

    Args:
        denoise: with labels and guidance.
        noise: unit normal [N, C, H, W], the same for all paths.
        sigma_data: standard deviation of the data.
    """

    def __init__(self, solver: Solver, denoise: Denoise, noise: Tensor, sigma_data: float):
        self.solver, self.denoise, self.noise = solver, denoise, noise
        self.sigma_data = sigma_data
        self._known: list[tuple[float, Tensor]] = []

    def states(self, sigmas: Sequence[float], remember: bool = False) -> list[Tensor]:
        """The states [N, C, H, W] at all levels, the first of them the scaled noise.

        remember: later calls repeat its evaluations up to the first level that differs, where a
        solver asks the same again.
        """
        states, calls = self._run(self.solver, sigmas, self._known)
        if remember:
            self._known = calls
        return states

    def fine(self, sigmas: Sequence[float]) -> tuple[list[Tensor], list[Tensor]]:
        """(states at all levels, x0 at all but the last) of Heun's method."""
        states, calls = self._run(make_solver("heun"), sigmas, [])
        return states, [x0 for _, x0 in calls[::2]]  # two evaluations a step, one in the last

    def _run(
        self, solver: Solver, sigmas: Sequence[float], known: list[tuple[float, Tensor]]
    ) -> tuple[list[Tensor], list[tuple[float, Tensor]]]:
        """(states, calls as (level, x0))."""
        x = self.noise.double()
        states, calls = [x * sigmas[0]], list[tuple[float, Tensor]]()

        def asked(x: Tensor, sigma: Tensor) -> Tensor:
            nonlocal known
            level, place = float(sigma[0]), len(calls)
            if place >= len(known) or known[place][0] != level:
                known = []  # from here on nothing is as it was
            x0 = known[place][1] if known else self._asked(x, sigma)
            calls.append((level, x0))
            return x0

        with torch.no_grad():
            run_solver(solver, asked, x, sigmas, callback=lambda step, x, x0: states.append(x))
        return states, calls

    def _asked(self, x: Tensor, sigma: Tensor) -> Tensor:
        own = self.noise.dtype
        exact = torch.promote_types(own, torch.float32)
        return self.denoise(x.to(own), sigma.to(exact)).double()
