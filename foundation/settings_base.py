"""The base of every settings class: what a params file may hold, checked when it is read."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen settings with known keys, strict types and finite numbers only.

    A string literal below a field is its description, which docs/params.md prints.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
