"""Multistep consistency sampling: denoise fully, add fresh noise, repeat."""

import itertools
from typing import TYPE_CHECKING

from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, Solver, evaluate

if TYPE_CHECKING:
    from torch import Tensor


class Consistency(Solver):
    """Multistep consistency sampling (Song et al. 2023, Alg. 1); one evaluation a step.

    It is made for denoisers that were trained to map noise to data in one evaluation. An ordinary
    denoiser returns a posterior mean, so with it the images are blurred.
    """

    def unlike_the_last(self) -> str | None:
        """New noise at each step."""
        return "consistency draws new noise at each step"

    def run(
        self,
        denoise: Denoise,
        x: "Tensor",
        sigmas: list[float],
        normal: NormalSource,
        report: Report,
    ) -> "Tensor":
        """Denoise x [B, C, H, W] at each level but the last, adding noise of the next one."""
        for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
            denoised = evaluate(denoise, x, sigma)
            x = denoised + target * normal(x) if target > 0 else denoised
            report(step, x, denoised)
        return x
