"""The base of every settings class: what a params file may hold, checked when it is read."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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


def left_out_at(default: Any) -> Any:
    """Annotation of a field that is younger than stored hashes: dumps lack it at this default.

    So runs, rows and caches that were made before it are still known.
    """
    return Field(exclude_if=lambda value: value == default)
