"""DDIM, from deterministic (eta 0, Euler's method) to ancestral DDPM (eta 1)."""

import itertools
import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from sampling.options import Options
from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, evaluate

if TYPE_CHECKING:
    from torch import Tensor


class DDIM(Options):
    """DDIM (Song et al. 2021, Eq. 12 and 16) in units of sigma; one evaluation a step.

    Exact whenever D is constant along the step: x' = D + (sigma'/sigma) (x - D).
    """

    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of fresh noise: 0 is deterministic (Euler), 1 is ancestral sampling (DDPM)."""

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
        """Integrate x [B, C, H, W] from sigmas[0] to sigmas[-1]."""
        for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
            denoised = evaluate(denoise, x, sigma)
            # Variance given back as noise, the posterior's at eta = 1 (DDIM, Eq. 16).
            fresh = self.eta * target * math.sqrt(1 - (target / sigma) ** 2)
            kept = math.sqrt(max(target**2 - fresh**2, 0.0))
            x = denoised + (kept / sigma) * (x - denoised)
            if fresh > 0:
                x = x + fresh * normal(x)
            report(step, x, denoised)
        return x
