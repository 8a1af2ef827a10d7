"""Guidance: wrappers round D(x; sigma, labels), a denoiser in and a denoiser out; they nest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sampling.config import GuidanceConfig
from sampling.step import Denoise

LogProb = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""log_prob(x [B, C, H, W], sigma [B], labels [B] or None) -> [B], differentiable in x."""


class LabelledDenoiser(Protocol):
    """What guidance wraps and what it gives: the contract of models/denoiser.py."""

    @property
    def sigma_data(self) -> float: ...
    @property
    def image_shape(self) -> tuple[int, ...]: ...
    @property
    def num_classes(self) -> int: ...

    def __call__(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor: ...


# What a guidance entry may need from outside: the one thing, or one per kind of guidance.
Guide = LabelledDenoiser | LogProb | Mapping[str, Any] | None


class Guided(nn.Module):
    """A denoiser round `denoiser`, which stays reachable as `.denoiser`."""

    def __init__(self, denoiser: LabelledDenoiser) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.sigma_data = denoiser.sigma_data
        self.image_shape = denoiser.image_shape
        self.num_classes = denoiser.num_classes


class ClassifierFree(Guided):
    """D_u + w (D_c - D_u): classifier-free guidance (Ho and Salimans 2022).

    The gradient of log p(x) + w log p(y | x) at noise level sigma. Weight 1 calls D_c only;
    images without a label (-1) get D_u. ValueError for an unlabelled denoiser.
    """

    def __init__(self, denoiser: LabelledDenoiser, weight: float) -> None:
        super().__init__(denoiser)
        if denoiser.num_classes == 0:
            raise ValueError(
                "classifier_free guidance needs a denoiser with labels, and this one has none: "
                "use autoguidance, or train with model.class_conditional on labelled data"
            )
        self.weight = weight

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        if self.weight == 1 or labels is None:
            return self.denoiser(x, sigma, labels)
        both = self.denoiser(
            torch.cat([x, x]),
            torch.cat([sigma, sigma]),
            torch.cat([labels, torch.full_like(labels, -1)]),
        )
        conditional, unconditional = both.chunk(2)
        return unconditional + self.weight * (conditional - unconditional)


class Autoguidance(Guided):
    """D_guide + w (D - D_guide): a worse version of the model guides it (Karras et al. 2024).

    The guide is a smaller network, an earlier snapshot or another EMA length. Weight 1 does not
    call it.
    """

    def __init__(self, denoiser: LabelledDenoiser, guide: LabelledDenoiser, weight: float) -> None:
        super().__init__(denoiser)
        if tuple(guide.image_shape) != tuple(denoiser.image_shape):
            raise ValueError(
                f"the guide makes images of shape {tuple(guide.image_shape)}, "
                f"the denoiser {tuple(denoiser.image_shape)}: choose a guide of the same shape"
            )
        if guide.num_classes not in (0, denoiser.num_classes):
            raise ValueError(
                f"the guide knows {guide.num_classes} classes, the denoiser "
                f"{denoiser.num_classes}: choose a guide with the same classes, or without any"
            )
        self.guide, self.weight = guide, weight

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        main = self.denoiser(x, sigma, labels)
        if self.weight == 1:
            return main
        guide = self.guide(x, sigma, labels if self.guide.num_classes else None)
        return guide + self.weight * (main - guide)


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

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        x0 = self.denoiser(x, sigma, labels if self.conditional else None)
        if self.weight == 0:
            return x0
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            total = self.log_prob(leaf, sigma, labels).sum()
            (slope,) = torch.autograd.grad(total, leaf)
        variance = sigma.to(x.dtype).view(-1, *[1] * (x.ndim - 1)) ** 2
        return x0 + self.weight * variance * slope


class Interval(Guided):
    """Guidance only where sigma_lo < sigma <= sigma_hi (Kynkaanniemi et al. 2024).

    Elsewhere the denoiser inside `guided` is called as it is, without the guidance's cost.
    """

    def __init__(
        self, guided: Guided, sigma_lo: float = 0.0, sigma_hi: float = float("inf")
    ) -> None:
        if not isinstance(guided, Guided):
            raise ValueError("interval limits a guidance: wrap a guided denoiser, not a plain one")
        if not 0 <= sigma_lo < sigma_hi:
            raise ValueError(f"interval ({sigma_lo}, {sigma_hi}]: choose 0 <= sigma_lo < sigma_hi")
        super().__init__(guided.denoiser)
        self.guided, self.sigma_lo, self.sigma_hi = guided, sigma_lo, sigma_hi

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        inside = (sigma > self.sigma_lo) & (sigma <= self.sigma_hi)
        if inside.all():
            return self.guided(x, sigma, labels)
        plain = self.denoiser(x, sigma, labels)
        if not inside.any():
            return plain
        choice = inside.view(-1, *[1] * (x.ndim - 1))
        return torch.where(choice, self.guided(x, sigma, labels), plain)


def guide_denoiser(
    denoiser: LabelledDenoiser,
    guidance: Sequence[GuidanceConfig],
    guide: Guide = None,
) -> LabelledDenoiser:
    """Wrap the denoiser in each entry of `guidance`, the first one innermost.

    guide: what autoguidance (a denoiser) or gradient (a log_prob) needs; a mapping from kind to
    it when both occur. Raises ValueError on anything missing or unfit, before any evaluation.
    """
    for entry in guidance:
        helper: Any = guide.get(entry.kind) if isinstance(guide, Mapping) else guide
        if entry.kind in ("autoguidance", "gradient") and helper is None:
            needed = "a guiding denoiser" if entry.kind == "autoguidance" else "a log_prob function"
            raise ValueError(f"guidance {entry.kind!r} needs {needed}: pass it as guide")
        match entry.kind:
            case "classifier_free":
                denoiser = ClassifierFree(denoiser, entry.weight)
            case "autoguidance":
                denoiser = Autoguidance(denoiser, helper, entry.weight)
            case "gradient":
                # A guided denoiser inside needs the labels itself.
                inside = isinstance(denoiser, Guided)
                denoiser = Gradient(denoiser, helper, entry.weight, conditional=inside)
            case "interval":
                low = 0.0 if entry.sigma_lo is None else entry.sigma_lo
                high = float("inf") if entry.sigma_hi is None else entry.sigma_hi
                assert isinstance(denoiser, Guided), "SamplerConfig checks what interval limits"
                denoiser = Interval(denoiser, low, high)
    return denoiser


def bind_labels(denoiser: LabelledDenoiser, labels: Tensor | None) -> Denoise:
    """The denoiser as `solve` wants it, denoise(x, sigma), with the batch's labels filled in."""

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return denoiser(x, sigma, labels)

    return denoise
