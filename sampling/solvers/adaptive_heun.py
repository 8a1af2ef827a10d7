"""Heun's method with steps of its own for each image, chosen by an estimate of their error."""

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from foundation.bounds import NOISE_LEVEL, AtMost
from sampling.seeds import NormalSource
from sampling.solvers.step import Denoise, Report, Solver, evaluate, evaluate_some

if TYPE_CHECKING:
    from torch import Tensor

SAFETY, LEAST, MOST = 0.9, 0.2, 5.0
"""A step is followed by one SAFETY error^(-1/2) times as long, at least LEAST and at most MOST."""


class AdaptiveHeun(Solver):
    """Heun's method whose step each image chooses (Jolicoeur-Martineau et al. 2021, Alg. 1).

    Euler's x' and Heun's x'' of one step differ by e, the error of x' to leading order. The step is
    taken, to x'', where the root mean square of e over the image is at most tolerance
    sqrt(sigma'^2 + c^2), tolerance times the spread that a state has at the level sigma' reached;
    else it is tried again, shorter ("Gotta Go Fast When Generating Data with Score-Based Models",
    arXiv 2105.14080, which has the same for the reverse SDE). A step is measured in the angle
    atan(sigma / c), in which steps of equal error are equally long on Gaussian data.

    The time grid gives the first and the last level above 0 and the first step tried; its other
    levels are not visited. From the last level x0 is taken. Each image is at a level of its own, so
    no image depends on the others of its batch.
    """

    tolerance: Annotated[float, Field(gt=0), AtMost(10, "any step is taken then")] = 0.05
    """Largest estimated error of a step, in parts of the spread of a state at its noise level."""
    c: Annotated[float, Field(gt=0), NOISE_LEVEL] = 0.5
    """Standard deviation of the data (sigma_data)."""
    max_evaluations: Annotated[int, Field(ge=3), AtMost(1_000_000, "no image is worth more")] = 1000
    """An image that needs more than so many evaluations ends the drawing with an error."""

    def evaluations(self, sigmas: list[float]) -> int:
        """Evaluations of an image of Gaussian data of standard deviation c.

        Images of other data need more or fewer, each its own number: count the calls.
        """
        import torch

        start = torch.full((1, 1, 1, 1), math.hypot(sigmas[0], self.c), dtype=torch.float64)
        calls = 0

        def gaussian(x: "Tensor", sigma: "Tensor") -> "Tensor":
            nonlocal calls
            calls += 1
            return x * (self.c**2 / (self.c**2 + sigma**2)).view(-1, 1, 1, 1)

        self.run(gaussian, start, sigmas, torch.zeros_like, lambda step, x, x0: None)
        return calls

    def own_steps(self) -> str | None:
        return "solver adaptive_heun chooses the steps of each image while it is drawn"

    def unlike_the_last(self) -> str | None:
        return "each image of adaptive_heun goes back to its last state where a step was too long"

    def fresh_noise(self) -> str | None:
        return None

    def run(
        self,
        denoise: Denoise,
        x: "Tensor",
        sigmas: list[float],
        normal: NormalSource,
        report: Report,
    ) -> "Tensor":
        """Integrate x [B, C, H, W] from sigmas[0] to sigmas[-1]; x holds noise of sigmas[0].

        A denoiser with a method `of_rows` is asked about the images alone that still go on (see
        evaluate_some). report is called after each try, with all images as they are then. Raises
        ValueError for an image that needs more than max_evaluations.
        """
        bottom = sigmas[-2] if sigmas[-1] == 0 else sigmas[-1]
        tries = 0
        if bottom < sigmas[0]:
            x, tries = self._descend(denoise, x, sigmas[0], sigmas[1], bottom, report)
        if sigmas[-1] == 0:
            x = evaluate(denoise, x, bottom)
            report(tries, x, x)
        return x

    def _descend(
        self,
        denoise: Denoise,
        x: "Tensor",
        first: float,
        second: float,
        bottom: float,
        report: Report,
    ) -> "tuple[Tensor, int]":
        """x [B, C, H, W] at level `bottom` from level `first`, and how many tries were made.

        second: level that the first try reaches, or `bottom` where that is higher.
        """
        import torch

        def each(values: "Tensor") -> "Tensor":  # [n] -> [n, 1, 1, 1] in x's dtype
            return values.to(x.device, x.dtype).view(-1, *[1] * (x.ndim - 1))

        count = len(x)
        sigma = torch.full((count,), first, dtype=torch.float64)  # [B], where each image is
        width = self._angle(sigma) - self._angle(torch.full_like(sigma, second))  # its next step
        last = x.clone()  # x0 of the last evaluations
        slope = torch.zeros_like(x)  # dx / dsigma at sigma, kept where a step is tried again
        unknown = torch.ones(count, dtype=torch.bool)  # whether its slope is to be asked for
        calls = torch.zeros(count, dtype=torch.int64)
        tries = 0
        while (rows := (sigma > bottom).nonzero()[:, 0]).numel():
            self._check_calls(calls, sigma, rows)
            if (asked := rows[unknown[rows]]).numel():
                denoised = evaluate_some(denoise, x, sigma, asked)
                slope[asked] = (x[asked] - denoised) / each(sigma[asked])
                calls[asked] += 1
            target = sigma.clone()
            target[rows] = self._reached(sigma[rows], width[rows], bottom)
            step = each((target - sigma)[rows])
            ahead = x.clone()
            ahead[rows] = euler = x[rows] + step * slope[rows]
            denoised = evaluate_some(denoise, ahead, target, rows)
            calls[rows] += 1
            there = (euler - denoised) / each(target[rows])
            heun = x[rows] + step * (slope[rows] + there) / 2
            # The error in units of what is allowed, [n] on the CPU, where all steps are chosen.
            error = (heun - euler).flatten(1).double().square().mean(1).sqrt().cpu()
            error = error / (self.tolerance * (target[rows] ** 2 + self.c**2).sqrt())
            # What is not finite cannot be mended by shorter steps, and hurries to the end.
            taken = ~((error > 1) & error.isfinite())
            factor = (SAFETY * error**-0.5).nan_to_num(nan=MOST).clamp(LEAST, MOST)
            width[rows] = (self._angle(sigma[rows]) - self._angle(target[rows])) * factor
            moved = rows[taken]
            x = x.clone()
            x[moved] = heun[taken]
            sigma[moved] = target[moved]
            unknown[rows] = taken
            last[rows] = denoised
            report(tries, x, last)
            tries += 1
        return x, tries

    def _angle(self, sigma: "Tensor") -> "Tensor":
        return (sigma / self.c).atan()

    def _reached(self, sigma: "Tensor", width: "Tensor", bottom: float) -> "Tensor":
        """The level [n] after a step of that angle; `bottom` where hardly anything would remain."""
        import torch

        angle = self._angle(sigma) - width
        last = angle - 0.1 * width < math.atan(bottom / self.c)
        target = self.c * angle.clamp_min(0).tan()
        return torch.where(last, bottom, target)

    def _check_calls(self, calls: "Tensor", sigma: "Tensor", rows: "Tensor") -> None:
        """Raise ValueError where an image's next step, and its last evaluation, would be beyond."""
        beyond = rows[calls[rows] + 3 > self.max_evaluations]
        if len(beyond):
            row = int(beyond[0])
            raise ValueError(
                f"solver adaptive_heun: image {row} of a batch has had {int(calls[row])} "
                f"evaluations and is at noise level {float(sigma[row]):.3g}: raise tolerance "
                f"({self.tolerance:g}) or max_evaluations ({self.max_evaluations})"
            )
