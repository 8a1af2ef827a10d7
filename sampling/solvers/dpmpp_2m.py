"""DPM-Solver++(2M): the second-order multistep solver in log sigma."""

import itertools
import math
from typing import TYPE_CHECKING

from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, Solver, evaluate

if TYPE_CHECKING:
    from torch import Tensor


class DPMpp2M(Solver):
    """DPM-Solver++ (Lu et al. 2022, Alg. 2), data prediction; one evaluation a step.

    With lambda = -log sigma: x' = (sigma'/sigma) x + (1 - e^-h) (D + (D - D_last) / (2 r)),
    h the step in lambda, r the last step over this one. The first step and a step to 0 are of
    first order.
    """

    def run(
        self,
        denoise: Denoise,
        x: "Tensor",
        sigmas: list[float],
        normal: NormalSource,
        report: Report,
    ) -> "Tensor":
        """Integrate x [B, C, H, W] from sigmas[0] to sigmas[-1]; x holds noise of sigmas[0]."""
        last, last_width = None, 0.0
        for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
            denoised = evaluate(denoise, x, sigma)
            ahead = denoised
            width = math.log(sigma / target) if target > 0 else math.inf
            if last is not None and target > 0:
                ahead = denoised + (denoised - last) * (width / (2 * last_width))
            ratio = target / sigma
            x = ratio * x + (1 - ratio) * ahead
            last, last_width = denoised, width
            report(step, x, denoised)
        return x
