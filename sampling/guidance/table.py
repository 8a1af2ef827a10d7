"""Guidance: wrappers round D(x; sigma, labels), a denoiser in and a denoiser out; they nest."""

from collections.abc import Mapping, Sequence
from typing import Any

from sampling.guidance.autoguidance import Autoguidance
from sampling.guidance.base import Guide, Guided, LabelledDenoiser
from sampling.guidance.classifier_free import ClassifierFree
from sampling.guidance.config import GuidanceConfig
from sampling.guidance.gradient import Gradient
from sampling.guidance.interval import Interval


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
