"""DDIM, from deterministic (eta 0, Euler's method) to ancestral DDPM (eta 1)."""

import itertools
import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, Solver, evaluate

if TYPE_CHECKING:
    from torch import Tensor


class DDIM(Solver):
    """DDIM (Song et al. 2021, Eq. 12 and 16) in units of sigma; one evaluation a step.

    x' = D + (sigma'/sigma) (x - D), which is exact if D is constant along the step.
    """

    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of fresh noise: 0 is deterministic (Euler), 1 is ancestral sampling (DDPM)."""

    def fresh_noise(self) -> str | None:
        """With eta above 0, a share of each step."""
        return "ddim draws noise at each step with eta above 0" if self.eta else None

    def run(
        self,
        denoise: Denoise,
        x: "Tensor",
        sigmas: list[float],
        normal: NormalSource,
        report: Report,
    ) -> "Tensor":
        """Integrate x [B, C, H, W] from sigmas[0] to sigmas[-1]; x holds noise of sigmas[0]."""
        for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
            denoised = evaluate(denoise, x, sigma)
            # Standard deviation of the fresh noise; eta = 1: that of the posterior (DDIM, Eq. 16).
            fresh = self.eta * target * math.sqrt(1 - (target / sigma) ** 2)
            kept = math.sqrt(max(target**2 - fresh**2, 0.0))
            x = denoised + (kept / sigma) * (x - denoised)
            if fresh > 0:
                x = x + fresh * normal(x)
            report(step, x, denoised)
        return x
