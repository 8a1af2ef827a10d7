"""Solvers and time grids by name: a table maps each name to a class with checked options."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError

from foundation.did_you_mean import check_name, spelling_hint
from foundation.settings_base import Settings

T = TypeVar("T", bound="Options")


class Options(Settings):
    """Base of every solver and time grid: its fields are the options that params.yaml may set."""

    model_config = ConfigDict(allow_inf_nan=True)  # heun's churn_max has no end


def build(kind: str, name: str, table: Mapping[str, type[T]], options: Mapping) -> T:
    """An instance of the class that `table` holds for `name`, with these options.

    Raises a one-line ValueError for an unknown name or option, or a bad value. kind: "solver" or
    "grid", for the message.
    """
    check_name(kind, name, table)
    chosen = table[name]
    for key in options:
        if key not in chosen.model_fields:
            raise ValueError(f"{kind} {name!r} has no option {key!r}{_mend(key, name, table)}")
    try:
        return chosen(**options)
    except ValidationError as error:
        raise ValueError(f"{kind} {name!r}: {describe(error)}") from None


def describe(error: ValidationError) -> str:
    """A pydantic error in words: "FIELD is VALUE: what is wrong", one clause per field."""
    return "; ".join(_clause(item) for item in error.errors())


def _clause(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    text = item["msg"].removeprefix("Value error, ")
    return f"{where} is {item['input']!r}: {text}" if where else text


def _mend(key: str, name: str, table: Mapping[str, type[Options]]) -> str:
    own = list(table[name].model_fields)
    if own and difflib.get_close_matches(key, own, n=1):
        return spelling_hint(key, own)
    owners = [other for other, chosen in table.items() if key in chosen.model_fields]
    elsewhere = f"; {key!r} belongs to {', '.join(owners)}" if owners else ""
    return f" (its options: {', '.join(own) or 'none'}){elsewhere}"
