"""Guidance by the gradient of a log-probability, such as that of a classifier."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from foundation.few_names import few
from sampling.guidance.base import Guided, LabelledDenoiser, LogProb
from sampling.guidance.config import GuidanceConfig, GuidanceWeight, Needs

if TYPE_CHECKING:
    from torch import Tensor

    from models.codecs import Codec


class GradientConfig(GuidanceConfig):
    """Pushes images along the gradient of a classifier's log-probability of their labels."""

    needs: ClassVar[Needs] = Needs(classifier=True, labels=True)

    kind: Literal["gradient"] = "gradient"
    """Works in python -m pipelines.sample --classifier FILE only, since it needs a classifier."""
    weight: GuidanceWeight = 1.0
    """Strength; 0 leaves the denoiser unguided."""

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """Gradient guidance; it passes labels to a guided denoiser and none to a plain one."""
        return Gradient(denoiser, helper, self.weight, conditional=isinstance(denoiser, Guided))

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """One more, for the log-probability and its gradient, unless the weight is 0."""
        return inside if self.weight == 0 else inside + 1


class Gradient(Guided):
    """D + w sigma^2 grad_x log_prob(x, sigma, labels): guidance by any differentiable score.

    If log_prob is log p(y | x, sigma) of a classifier of noisy images and D is unconditional, this
    is classifier guidance (Dhariwal and Nichol 2021), written for x0. An image whose gradient is
    not finite stays unguided in that evaluation. With weight 0 log_prob is not called.
    conditional: pass the labels to D too, not only to log_prob.
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
            # In half precision the variance of a high noise level would be infinite.
            leaf = x.detach().to(torch.promote_types(x.dtype, torch.float32)).requires_grad_()
            total = self.log_prob(leaf, sigma, labels).sum()
            (slope,) = torch.autograd.grad(total, leaf)
        variance = sigma.to(leaf.dtype).view(-1, *[1] * (x.ndim - 1)) ** 2
        push = self.weight * variance * slope
        finite = push.flatten(1).isfinite().all(1).view(-1, *[1] * (x.ndim - 1))
        return x0 + torch.where(finite, push, torch.zeros_like(push)).to(x0.dtype)

    def unguided(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W] of the denoiser to which the gradient is added."""
        return self.denoiser(x, sigma, labels if self.conditional else None)


class CaptionScore:
    """score(D(x; sigma), caption) [B], from a dual encoder of images and captions.

    As the log-probability of Gradient it is CLIP guidance in x0 form, D + w sigma^2 grad_x of
    scale * cos(f(D), g(caption)) (Nichol et al., GLIDE, arXiv 2112.10741, Eq. 5).
    """

    def __init__(self, denoiser: LabelledDenoiser, dual_encoder: Any, codec: "Codec"):
        self.denoiser, self.dual_encoder, self.codec = denoiser, dual_encoder, codec

    def __call__(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None") -> "Tensor":
        return self.of_clean(self.denoiser(x, sigma), labels)

    def of_clean(self, x0: "Tensor", labels: "Tensor | None") -> "Tensor":
        """The score [B] of clean images, differentiable in x0."""
        labels = of_every_image(labels, "a caption")
        return self.dual_encoder.score(self.codec.pictures(x0.float()), labels)


class ClassifierLogProb:
    """log p(label | D(x; sigma)) [B], from a classifier of clean images and the denoised estimate.

    It is differentiable in x through the denoiser, so the classifier need not know noisy images
    (universal guidance, Bansal et al., arXiv 2302.07121, Eq. 7).
    """

    def __init__(self, denoiser: LabelledDenoiser, classifier: Any, codec: "Codec"):
        self.denoiser, self.classifier, self.codec = denoiser, classifier, codec

    def __call__(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None") -> "Tensor":
        return self.of_clean(self.denoiser(x, sigma), labels)

    def of_clean(self, x0: "Tensor", labels: "Tensor | None") -> "Tensor":
        """log p(label | x0) [B] of clean images, differentiable in x0."""
        import torch

        labels = of_every_image(labels, "a label")
        logits = self.classifier.classify(self.codec.pictures(x0.float()))
        return torch.log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]


class AttributeLogProb:
    """log p_sigma(label | x) [B] from the predictor of an attribute whose values are the labels.

    The predictor knows noisy images, so this is classifier guidance as it was meant (Dhariwal and
    Nichol 2021), where a classifier of clean images asks what D(x; sigma) shows.

    Args:
        attribute: `models.attribute_predictor.AttributeOfImages`, or any Attribute.
        label_names: of the denoiser's classes, in the order of their numbers.

    Raises ValueError where a class is no value of the attribute.
    """

    def __init__(self, attribute: Any, label_names: Sequence[str]):
        absent = [name for name in label_names if name not in attribute.names]
        if absent or not label_names:
            raise ValueError(
                f"the attribute predictor knows {', '.join(attribute.names)} and not the class "
                f"{few(absent, 5) or 'of any image, for the denoiser has none'}: guidance marginal "
                "takes the values by name"
            )
        self.attribute = attribute
        self.places = [list(attribute.names).index(name) for name in label_names]

    def __call__(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None") -> "Tensor":
        labels = of_every_image(labels, "a label")
        logs = self.attribute.log_probs(x, sigma, None)
        places = labels.new_tensor(self.places)[labels]
        return logs.gather(1, places[:, None])[:, 0]


def of_every_image(labels: "Tensor | None", what: str) -> "Tensor":
    """The labels. Raises ValueError, naming what is needed, where an image has none."""
    if labels is None or (labels < 0).any():
        raise ValueError(f"guidance needs {what} for every image")
    return labels
