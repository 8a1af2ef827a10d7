"""What guidance by an attribute has in common: named shares, and the interface of a predictor."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self

from pydantic import Field, model_validator

from foundation.did_you_mean import check_name
from foundation.shares import Shares
from sampling.guidance.config import GuidanceConfig

if TYPE_CHECKING:
    from torch import Tensor


class Attribute(Protocol):
    """An attribute of noisy images, as guidance takes it: what its values are, how likely each is.

    The values exclude one another, and one of them holds for every image.
    """

    @property
    def names(self) -> Sequence[str]:
        """Of the values, A of them."""
        ...

    @property
    def prior(self) -> "Tensor":
        """Share of each value before anything is seen, [A]."""
        ...

    def log_probs(self, x: "Tensor", sigma: "Tensor", labels: "Tensor | None") -> "Tensor":
        """log p_sigma(value | x, label), [B, A], differentiable in x."""
        ...


Predictor = Annotated[str, Field(min_length=1)] | None
"""The file of an attribute predictor's weights."""


class AttributeGuidanceConfig(GuidanceConfig):
    """Guidance by a predictor to wanted shares of an attribute's values."""

    target: Shares
    """{value: share} that are wanted; shares of all values add up to 1."""
    attribute: Annotated[str, Field(min_length=1)] | None = None
    """Name of an entry of `attributes` in params, whose predictor guides (docs/steering.md)."""
    predictor: Predictor = None
    """Weights of a predictor (python -m pipelines.attributes), in place of attribute; null: it is
    that of the attribute, or is passed from Python."""

    @model_validator(mode="after")
    def _one_predictor(self) -> Self:
        if self.attribute is not None and self.predictor is not None:
            raise ValueError(f"{self.kind} takes attribute or predictor, not both")
        return self

    @property
    def guiding_attribute(self) -> str | None:
        return self.attribute

    @property
    def guiding_weights(self) -> str | None:
        return self.predictor

    def with_guiding_weights(self, path: str) -> Self:
        return self.model_copy(update={"predictor": path, "attribute": None})


def share_vector(shares: Mapping[str, float], names: Sequence[str], like: "Tensor") -> "Tensor":
    """The shares in the order of `names`, [A]. Raises ValueError for a value of another name."""
    for name in shares:
        check_name("value of the attribute", name, list(names))
    return like.new_tensor([shares.get(name, 0.0) for name in names])


def checked(helper: Any, kind: str) -> Attribute:
    """The helper. Raises ValueError if it says nothing of an attribute."""
    if not all(hasattr(helper, name) for name in ("names", "prior", "log_probs")):
        raise ValueError(f"guidance {kind!r} needs an attribute predictor: pass it as guide")
    return helper
