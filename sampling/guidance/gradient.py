"""Guidance by the gradient of a log-probability, such as that of a classifier."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from sampling.guidance.base import Guided, LabelledDenoiser, LogProb
from sampling.guidance.config import GuidanceConfig, Needs

if TYPE_CHECKING:
    from torch import Tensor

    from models.codecs import Codec


class GradientConfig(GuidanceConfig):
    """Along the gradient of a classifier's log-probability of the labels."""

    needs: ClassVar[Needs] = Needs(classifier=True, labels=True)

    kind: Literal["gradient"] = "gradient"
    """Needs a classifier: for python -m pipelines.sample --classifier FILE only."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Strength: 0 is the plain denoiser without labels."""

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """Round the denoiser without labels; a guided denoiser inside is given them."""
        return Gradient(denoiser, helper, self.weight, conditional=isinstance(denoiser, Guided))

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """The log-probability, there and back, counts as one, unless the weight is 0."""
        return inside if self.weight == 0 else inside + 1


class Gradient(Guided):
    """D + w sigma^2 grad_x log_prob(x, sigma, labels): classifier guidance and its kin.

    With log_prob = log p(y | x, sigma) of a noise-aware classifier and an unconditional D this is
    Dhariwal and Nichol 2021 in x0 form; any score of the noisy image enters by the same door.
    Weight 0 does not call it. `conditional` passes labels to D as well as to log_prob.
    """

    def __init__(
        self,
        denoiser: LabelledDenoiser,
        log_prob: LogProb,
        weight: float,
        conditional: bool = False,
    ) -> None:
        super().__init__(denoiser)
        self.log_prob, self.weight, self.conditional = log_prob, weight, conditional

    def forward(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W]."""
        x0 = self.unguided(x, sigma, labels)
        if self.weight == 0:
            return x0
        import torch

        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            total = self.log_prob(leaf, sigma, labels).sum()
            (slope,) = torch.autograd.grad(total, leaf)
        variance = sigma.to(x.dtype).view(-1, *[1] * (x.ndim - 1)) ** 2
        return x0 + self.weight * variance * slope

    def unguided(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W] of the denoiser that the gradient is added to."""
        return self.denoiser(x, sigma, labels if self.conditional else None)


class ClassifierLogProb:
    """log p(label | D(x; sigma)): a classifier of clean images read at the denoised estimate.

    Differentiable in x through the denoiser (universal guidance, Bansal et al., arXiv 2302.07121,
    Eq. 7), so any classifier will do.
    """

    def __init__(self, denoiser: LabelledDenoiser, classifier: Any, codec: "Codec"):
        self.denoiser, self.classifier, self.codec = denoiser, classifier, codec

    def __call__(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None") -> "Tensor":
        import torch

        if labels is None or (labels < 0).any():
            raise ValueError("guidance gradient needs a label for every image")
        clean = self.denoiser(x, sigma).float()
        logits = self.classifier.classify(self.codec.pictures(clean))
        return torch.log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]
