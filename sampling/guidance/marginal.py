"""Guidance to wanted shares of an attribute's values, image by image (Jeffrey's rule)."""

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from foundation.shares import Shares
from sampling.guidance.attributes import (
    Attribute,
    AttributeGuidanceConfig,
    checked,
    share_vector,
)
from sampling.guidance.base import Guided, LabelledDenoiser
from sampling.guidance.config import GuidanceWeight, Needs
from sampling.guidance.gradient import Gradient

if TYPE_CHECKING:
    from torch import Tensor


class MarginalConfig(AttributeGuidanceConfig):
    """Draws an attribute's values with wanted shares, each image by itself."""

    needs: ClassVar[Needs] = Needs(attribute=True)

    kind: Literal["marginal"] = "marginal"
    """Image i still depends on (seed, i) alone. Needs an attribute predictor."""
    source: Shares | None = None
    """{value: share} of what the denoiser draws unguided; null: as the predictor says, which is
    right where its labelled images were taken at random from the training images."""
    weight: GuidanceWeight = 1.0
    """1: the wanted shares, if the predictor is exact; 0 leaves the denoiser unguided."""

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """Gradient guidance by the log of how much likelier the target makes an image."""
        ratio = LikelierByTarget(checked(helper, self.kind), self.target, self.source)
        return Gradient(denoiser, ratio, self.weight, conditional=True)

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """One more, for the predictor and its gradient, unless the weight is 0."""
        return inside if self.weight == 0 else inside + 1


class LikelierByTarget:
    """log sum_a (q_a / s_a) p_sigma(a | x) [B]: how much likelier x is with shares q than with s.

    With it as the log-probability of Gradient,

        D* = D + sigma^2 grad_x log sum_a (q_a / s_a) p_sigma(a | x)

    is the denoiser of the data whose values a are re-weighted from shares s to q, and nothing else
    is changed (Jeffrey's rule; arXiv 2606.13240). p must be what is known of *noisy* images. A
    predictor whose own shares p_a differ from s, for its labelled images were chosen, has
    p_sigma(a | x) ~ (s_a / p_a) times what it says.

    target, source: {value: share}. Raises ValueError for unknown values, and for wanted ones that
    the source or the predictor has no share of.
    """

    def __init__(
        self, attribute: Attribute, target: dict[str, float], source: dict[str, float] | None
    ):
        self.attribute = attribute
        prior = attribute.prior.double()
        wanted = share_vector(target, attribute.names, prior)
        has = prior if source is None else share_vector(source, attribute.names, prior)
        for name, share, given, own in zip(attribute.names, wanted, has, prior, strict=True):
            if share > 0 and min(given, own) <= 0:
                raise ValueError(
                    f"guidance marginal: target asks for {name!r}, which the "
                    f"{'predictor' if own <= 0 else 'source'} never has: take it out of the target"
                )
        self.wanted = _log_ratio(wanted, prior)
        self.has = None if source is None else _log_ratio(has, prior)

    def __call__(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None") -> "Tensor":
        logs = self.attribute.log_probs(x, sigma, labels)
        likelier = (logs + self.wanted.to(logs)).logsumexp(1)
        return likelier if self.has is None else likelier - (logs + self.has.to(logs)).logsumexp(1)


def _log_ratio(shares: "Tensor", prior: "Tensor") -> "Tensor":
    """log(shares / prior) [A], -inf for a share of 0 whatever the prior."""
    ratio = shares.log() - prior.log()
    return ratio.masked_fill(shares == 0, -math.inf)
