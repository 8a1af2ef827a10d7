"""UniPC: a multistep predictor-corrector of order 1 to 3 in log sigma."""

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, Solver, evaluate

if TYPE_CHECKING:
    from torch import Tensor


class UniPC(Solver):
    """UniPC (Zhao et al. 2023, arXiv 2302.04867), data prediction; one evaluation a step.

    The corrector reuses the evaluation that the next step needs anyway. The order rises over the
    first steps and falls over the last ones; a step to 0 is of first order.
    """

    order: Literal[1, 2, 3] = 2
    """Order of the predictor; the corrector adds one."""
    variant: Literal["bh1", "bh2"] = "bh2"
    """The paper's B(h): h (bh1) or e^h - 1 (bh2); it changes only steps that use one difference."""
    corrector: bool = True
    """Correct each prediction; without it the solver is the exponential Adams predictor."""
    lower_order_final: bool = True
    """Let the order fall to 1 over the last steps, which stabilises runs of few steps."""

    def run(
        self,
        denoise: Denoise,
        x: "Tensor",
        sigmas: list[float],
        normal: NormalSource,
        report: Report,
    ) -> "Tensor":
        """Integrate x [B, C, H, W] from sigmas[0] to sigmas[-1]; x holds noise of sigmas[0]."""
        steps = len(sigmas) - 1
        known: list[tuple[float, Tensor]] = []  # (lambda, D) of the last `order` points
        start, order = x, 1  # where the last step began, and its order
        for step in range(steps):
            sigma, target = sigmas[step], sigmas[step + 1]
            denoised = evaluate(denoise, x, sigma)
            if self.corrector and step > 0:
                x = self._advance(start, sigmas[step - 1], sigma, known[-order:], denoised)
            known = [*known, (-math.log(sigma), denoised)][-self.order :]
            order = min(self.order, step + 1)
            if self.lower_order_final:
                order = min(order, steps - step)
            start = x
            x = self._advance(x, sigma, target, known[-order:], None) if target > 0 else denoised
            report(step, x, denoised)
        return x

    def _advance(
        self,
        x: "Tensor",
        sigma: float,
        target: float,
        known: list[tuple[float, "Tensor"]],
        ahead: "Tensor | None",
    ) -> "Tensor":
        """x [B, C, H, W] after one step from sigma to target.

        known: (-log sigma, D) of past evaluations, the last one at sigma. ahead: D at the target
        for the corrector, None for the predictor.
        """
        lam, current = known[-1]
        width = math.log(sigma / target)
        # Positions r of the other evaluations in units of this step: past ones < 0, ahead at 1.
        positions = [(past - lam) / width for past, _ in known[:-1]]
        values = [value for _, value in known[:-1]]
        if ahead is not None:
            positions, values = [*positions, 1.0], [*values, ahead]
        x = (target / sigma) * x - math.expm1(-width) * current
        weights = self._weights(positions, width)
        for position, weight, value in zip(positions, weights, values, strict=True):
            x = x + (weight / position) * (value - current)
        return x

    def _weights(self, positions: list[float], width: float) -> list[float]:
        """Weights of the divided differences; n of them are exact for polynomials of degree n."""
        if len(positions) == 1:
            # UniPC sets a single weight to B(h) / 2, which is of second order for either B(h).
            return [0.5 * (width if self.variant == "bh1" else -math.expm1(-width))]
        count = len(positions)
        matrix = np.vander(np.asarray(positions), count, increasing=True).T
        return list(np.linalg.solve(matrix, _moments(width, count)))


# Gauss-Legendre on [0, 1]: exact to rounding for steps of up to about 25 in log sigma.
_NODES, _SHARES = np.polynomial.legendre.leggauss(24)
_NODES, _SHARES = (_NODES + 1) / 2, _SHARES / 2


def _moments(width: float, count: int) -> np.ndarray:
    """width times the integrals of e^{width (r - 1)} r^k over [0, 1], for k = 1 .. count."""
    powers = _NODES[:, None] ** np.arange(1, count + 1)
    return width * (_SHARES * np.exp(width * (_NODES - 1))) @ powers
