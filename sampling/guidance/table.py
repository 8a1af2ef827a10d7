"""The table of all guidance kinds, and `guide_denoiser`, which applies a list of them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from foundation.settings_by_kind import ByKind
from sampling.guidance.autoguidance import AutoguidanceConfig
from sampling.guidance.backward import BackwardConfig
from sampling.guidance.base import Guide, LabelledDenoiser
from sampling.guidance.classifier_free import ClassifierFreeConfig
from sampling.guidance.config import GuidanceConfig
from sampling.guidance.distribution import DistributionConfig
from sampling.guidance.gradient import GradientConfig
from sampling.guidance.interval import IntervalConfig
from sampling.guidance.marginal import MarginalConfig

KINDS: dict[str, type[GuidanceConfig]] = {
    "classifier_free": ClassifierFreeConfig,
    "autoguidance": AutoguidanceConfig,
    "gradient": GradientConfig,
    "backward": BackwardConfig,
    "marginal": MarginalConfig,
    "distribution": DistributionConfig,
    "interval": IntervalConfig,
}
DEFAULT_KIND = "classifier_free"
"""The kind of an entry of params.yaml without the key `kind`."""

GuidanceEntry = Annotated[GuidanceConfig, ByKind("guidance kind", KINDS, DEFAULT_KIND)]
"""One entry of a sampler's guidance, read by the class that its kind names."""


def weighted_kinds() -> list[str]:
    """The kinds that a `weight` is enough for."""
    return [
        kind
        for kind, config in KINDS.items()
        if "weight" in config.model_fields
        and not any(field.is_required() for field in config.model_fields.values())
    ]


def guide_denoiser(
    denoiser: LabelledDenoiser, guidance: Sequence[GuidanceConfig], guide: Guide = None
) -> LabelledDenoiser:
    """Wrap the denoiser in each entry of `guidance`, the first one innermost.

    guide: the guiding denoisers and log-probabilities that entries need, see `Guide`. Raises
    ValueError if one is missing or does not fit, before any evaluation.
    """
    for index, entry in enumerate(guidance):
        helper = helper_of(guide, index, entry.kind)
        if entry.needs.helper and helper is None:
            raise ValueError(
                f"guidance {entry.kind!r} needs {entry.needs.helper}: pass it as guide"
            )
        denoiser = entry.wrap(denoiser, helper)
    return denoiser


def helper_of(guide: Guide, index: int, kind: str) -> Any:
    """What `guide` holds for the entry of that number and kind; None: nothing."""
    if isinstance(guide, Mapping):
        return guide.get(kind)
    return guide[index] if isinstance(guide, Sequence) else guide


def network_evaluations(guidance: Sequence[GuidanceConfig], sigma: float) -> int:
    """How often networks are evaluated by one call of the guided denoiser at noise level sigma.

    1 without guidance; an evaluation of a guiding network counts as 1 too.
    """
    inside = unguided = 1
    for entry in guidance:
        cost = entry.evaluations(sigma, inside, unguided)
        if not entry.needs.guidance_inside:  # a limited guidance is left out at the same cost
            unguided = inside
        inside = cost
    return inside
