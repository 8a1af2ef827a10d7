"""Multistep consistency sampling: denoise fully, add fresh noise, repeat."""

import itertools
from typing import TYPE_CHECKING

from sampling.options import Options
from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, evaluate

if TYPE_CHECKING:
    from torch import Tensor


class Consistency(Options):
    """Consistency models, algorithm 1; one evaluation a step.

    Right for denoisers trained to jump to the data in one step; a plain denoiser's jump is a
    posterior mean, so with it the result is blurred.
    """

    def evaluations(self, sigmas: list[float]) -> int:
        """Denoiser evaluations over these times (NFE)."""
        return len(sigmas) - 1

    def run(
        self,
        denoise: Denoise,
        x: "Tensor",
        sigmas: list[float],
        normal: NormalSource,
        report: Report,
    ) -> "Tensor":
        """Take x [B, C, H, W] from sigmas[0] to sigmas[-1]."""
        for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
            denoised = evaluate(denoise, x, sigma)
            x = denoised + target * normal(x) if target > 0 else denoised
            report(step, x, denoised)
        return x
