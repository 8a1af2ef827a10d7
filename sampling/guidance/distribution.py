"""Guidance to wanted shares of an attribute's values within groups of images, by the hidden state.

Source: Parihar et al., Balancing Act: Distribution-Guided Debiasing in Diffusion Models (CVPR 2024,
arXiv 2402.18206).
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from foundation.bounds import AtMost
from sampling.guidance.attributes import AttributeGuidanceConfig, checked, share_vector
from sampling.guidance.backward import norms
from sampling.guidance.base import Guided, LabelledDenoiser
from sampling.guidance.config import GuidanceWeight, Needs

if TYPE_CHECKING:
    from torch import Tensor


class DistributionConfig(AttributeGuidanceConfig):
    """Pulls the mean prediction of a group of images to wanted shares, through the hidden state."""

    needs: ClassVar[Needs] = Needs(attribute=True, plain_denoiser=True)

    kind: Literal["distribution"] = "distribution"
    """The images of a group depend on one another. First in the list, for it needs the network."""
    group: Annotated[int, Field(ge=2), AtMost(4096, "a group is drawn at once")] = 64
    """Images of a group: those whose numbers have the same quotient by it. The batch size and the
    number of images must be multiples of it."""
    weight: GuidanceWeight = 1.0
    """Strength, whatever the size of the group; 0 leaves the denoiser unguided."""
    most_change: Annotated[float, Field(gt=0, le=1)] = 0.3
    """The hidden state of an image changes by at most this share of its norm."""

    @property
    def group_size(self) -> int:
        return self.group

    def wrap(self, denoiser: LabelledDenoiser, helper: Any = None) -> Guided:
        """The denoiser with its hidden state moved."""
        return HiddenShift(
            denoiser,
            checked(helper, self.kind),
            self.target,
            self.group,
            self.weight,
            self.most_change,
        )

    def evaluations(self, sigma: float, inside: int, unguided: int) -> int:
        """As many as without: the gradient is that of the predictor alone."""
        return inside


class HiddenShift(Guided):
    """decode(h - w G grad_h sum_a (p_a - q_a)^2 / q_a), p the mean prediction of a group of G.

    h is the denoiser's bottleneck; the skip connections are untouched. The gradient of the mean's
    loss falls with the size of the group, so it is multiplied by G. Values with no wanted share
    are left out of the loss. The predictor has learned from unlabelled images: with labels it is
    asked about states that it has not seen, so steer an unconditional denoiser, or label -1.

    Raises ValueError for a denoiser without a hidden state: another guidance, or an adapter, and
    for a predictor that reads no hidden state.
    """

    def __init__(
        self,
        denoiser: LabelledDenoiser,
        attribute: Any,
        target: dict[str, float],
        group: int,
        weight: float,
        most_change: float = 0.3,
    ) -> None:
        super().__init__(denoiser)
        if not (hasattr(denoiser, "encode") and hasattr(denoiser, "decode")):
            raise ValueError(
                "guidance distribution moves the network's hidden state, so it comes first in the "
                "list, and the sampler has no adapter"
            )
        if not hasattr(attribute, "of_hidden"):
            raise ValueError(
                "guidance distribution needs a predictor that reads hidden states (of_hidden), as "
                "python -m pipelines.attributes makes them"
            )
        self.attribute, self.group = attribute, group
        self.weight, self.most_change = weight, most_change
        self.wanted = share_vector(target, attribute.names, attribute.prior)

    def forward(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
        """x0 [B, C, H, W]; B a multiple of the group's size."""
        if self.weight == 0:
            return self.denoiser(x, sigma, labels)
        if len(x) % self.group:
            raise ValueError(f"guidance distribution: {len(x)} images cut groups of {self.group}")
        from dataclasses import replace

        network: Any = self.denoiser
        hidden = network.encode(x, sigma, labels)
        change = -self.weight * self.slope(hidden)
        most = self.most_change * norms(hidden.bottleneck)
        change = change * (most / norms(change).clamp_min(1e-30)).clamp_max(1.0)
        return network.decode(replace(hidden, bottleneck=hidden.bottleneck + change))

    def slope(self, hidden: Any) -> "Tensor":
        """G times the gradient of a group's loss by its images' bottlenecks, [B, C, h, w]."""
        from dataclasses import replace

        import torch

        with torch.enable_grad():
            leaf = hidden.bottleneck.detach().requires_grad_()
            logs = self.attribute.of_hidden(replace(hidden, bottleneck=leaf))
            means = logs.exp().view(-1, self.group, logs.shape[1]).mean(1)  # [B / G, A]
            wanted = self.wanted.to(means)
            named = wanted > 0
            loss = ((means - wanted)[:, named].square() / wanted[named]).sum()
            (slope,) = torch.autograd.grad(loss, leaf)
        return self.group * slope
