"""Shares of named values that add up to 1, as settings give them."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _shares(shares: dict[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(
            f"the shares add up to {total:g}: give shares of all values, adding up to 1"
        )
    return shares


Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[dict[str, Share], Field(min_length=1), AfterValidator(_shares)]
"""{value: its share}; values that are left out have none."""
