"""EDM's second-order sampler, deterministic or with churn."""

import itertools
import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from foundation.bounds import AtMost
from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, Solver, evaluate

if TYPE_CHECKING:
    from torch import Tensor


class Heun(Solver):
    """EDM, algorithms 1 (churn 0) and 2; two evaluations a step, one where the step ends at 0."""

    churn: Annotated[
        float, Field(ge=0), AtMost(1e6, "a step adds no more than sqrt(2) - 1 of its noise")
    ] = 0.0
    """Noise added over the whole run (EDM's S_churn); 0 is deterministic."""
    churn_min: Annotated[float, Field(ge=0)] = 0.0
    """Lowest sigma at which noise is added (S_tmin)."""
    churn_max: Annotated[float, Field(gt=0)] = math.inf
    """Highest sigma at which noise is added (S_tmax)."""
    churn_noise: Annotated[
        float, Field(gt=0), AtMost(100, "it is near 1, or images drown in noise")
    ] = 1.0
    """Standard deviation of the added noise (S_noise)."""

    def evaluations(self, sigmas: list[float]) -> int:
        """Denoiser evaluations (NFE) of a run over these noise levels."""
        return 2 * (len(sigmas) - 1) - (sigmas[-1] == 0)

    def unlike_the_last(self) -> str | None:
        """With churn, noise that is added before each step."""
        return "churn adds noise before each step" if self.churn else None

    def for_share(self, share: float) -> "Heun":
        """With so large a share of the churn, since it is that of a whole run."""
        return self.model_copy(update={"churn": self.churn * share})

    def run(
        self,
        denoise: Denoise,
        x: "Tensor",
        sigmas: list[float],
        normal: NormalSource,
        report: Report,
    ) -> "Tensor":
        """Integrate x [B, C, H, W] from sigmas[0] to sigmas[-1]; x holds noise of sigmas[0]."""
        # Per step at most sqrt(2) - 1, so that no more noise comes in than there is.
        gamma = min(self.churn / (len(sigmas) - 1), math.sqrt(2) - 1)
        for step, (sigma, target) in enumerate(itertools.pairwise(sigmas)):
            if gamma > 0 and self.churn_min <= sigma <= self.churn_max:
                raised = sigma * (1 + gamma)
                added = math.sqrt(raised**2 - sigma**2) * self.churn_noise
                x, sigma = x + added * normal(x), raised
            denoised = evaluate(denoise, x, sigma)
            slope = (x - denoised) / sigma
            ahead = x + (target - sigma) * slope
            if target > 0:
                # The trapezoid rule with the slope at the far end (EDM, Alg. 1, line 8).
                denoised = evaluate(denoise, ahead, target)
                ahead = x + (target - sigma) * (slope + (ahead - denoised) / target) / 2
            x = ahead
            report(step, x, denoised)
        return x
