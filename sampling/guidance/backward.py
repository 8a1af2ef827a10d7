"""Backward guidance: the denoised estimate itself is moved to what a classifier likes better."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from foundation.bounds import AtMost
from sampling.guidance.base import Guided, LabelledDenoiser
from sampling.guidance.config import GuidanceConfig, GuidanceWeight, Needs

if TYPE_CHECKING:
    from torch import Tensor

Steps = Annotated[int, Field(ge=1), AtMost(1000, "each asks the classifier once an evaluation")]


class BackwardConfig(GuidanceConfig):
    """Moves the denoised estimate by gradient steps of a classifier, not through the denoiser."""

    needs: ClassVar[Needs] = Needs(classifier=True, labels=True)

    kind: Literal["backward"] = "backward"
    """Works in python -m pipelines.sample --classifier FILE only, since it needs a classifier."""
    weight: GuidanceWeight = 1.0
    """Size of a step, in units of the classifier's gradient; 0 leaves the denoiser unguided."""
    steps: Steps = 5
    """Steps at each evaluation of the denoiser."""
    most_change: Annotated[float, Field(gt=0)] = 0.3
    """Most change of the estimate, as a share of its distance from the noisy image."""

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """Backward guidance. Raises ValueError for a helper that does not know clean images."""
        return Backward(
            denoiser,
            helper,
            self.weight,
            self.steps,
            self.most_change,
            conditional=isinstance(denoiser, Guided),
        )

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """As many as without: no gradient goes through the denoiser."""
        return inside


class Backward(Guided):
    """D + delta, where delta climbs log p(y | D + delta) by a few steps from 0.

    The backward step of universal guidance (Bansal et al., arXiv 2302.07121, Sec. 3.3), written for
    x0. delta is limited to `most_change` |D - x|, so that it vanishes with the noise, and an image
    whose gradient is not finite is left unguided. The computation is in float32 or wider.

    Args:
        helper: an object with `of_clean(x0, labels) -> [B]`, such as ClassifierLogProb.
        conditional: pass the labels to D too, not only to the helper.
    """

    def __init__(
        self,
        denoiser: LabelledDenoiser,
        helper: Any,
        weight: float,
        steps: int,
        most_change: float,
        conditional: bool = False,
    ) -> None:
        super().__init__(denoiser)
        if not hasattr(helper, "of_clean"):
            raise ValueError(
                "guidance backward asks about clean images: give a classifier of these, and the "
                "predictor of an attribute to guidance gradient or marginal"
            )
        self.helper, self.weight, self.steps = helper, weight, steps
        self.most_change, self.conditional = most_change, conditional

    def forward(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W]."""
        import torch

        x0 = self.denoiser(x, sigma, labels if self.conditional else None)
        if self.weight == 0:
            return x0
        start = x0.detach().to(torch.promote_types(x0.dtype, torch.float32))
        most = self.most_change * norms(start - x.to(start))
        delta = torch.zeros_like(start)
        for _ in range(self.steps):
            with torch.enable_grad():
                leaf = (start + delta).requires_grad_()
                total = self.helper.of_clean(leaf, labels).sum()
                (slope,) = torch.autograd.grad(total, leaf)
            finite = slope.isfinite().flatten(1).all(1).view(-1, 1, 1, 1)
            delta = torch.where(finite, delta + self.weight * slope, torch.zeros_like(delta))
            delta = delta * (most / norms(delta).clamp_min(1e-30)).clamp_max(1.0)
        return x0 + delta.to(x0)

    def unguided(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W] of the denoiser whose estimate is moved."""
        return self.denoiser(x, sigma, labels if self.conditional else None)


def norms(x: "Tensor") -> "Tensor":
    """Euclidean norm of each image, [B, 1, 1, 1]."""
    return x.flatten(1).norm(dim=1)[:, None, None, None]
