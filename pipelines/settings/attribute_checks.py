"""Checks of attributes and of the samplers that they guide."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from foundation.did_you_mean import spelling_hint

if TYPE_CHECKING:
    from pipelines.settings.schema import Params

ITEMS = "items"
"""A folder beside the attributes' own."""


def attribute_problems(params: "Params") -> Iterator[str]:
    """One line for each problem, with the YAML path and the mend."""
    for name in params.attributes:
        if not re.fullmatch(r"[A-Za-z0-9_]+", name) or name == ITEMS:
            yield (
                f"attributes.{name}: an attribute's name may have letters, digits and _ only, and "
                f"is not {ITEMS}"
            )
    for name, sampler in params.sampling.items():
        for index, entry in enumerate(sampler.guidance):
            where = f"sampling.{name}.guidance[{index}]"
            wanted = entry.guiding_attribute
            if wanted is not None and wanted not in params.attributes:
                hint = spelling_hint(wanted, params.attributes) or ": define it there"
                yield f"{where}.attribute: {wanted!r} is not a name under attributes{hint}"
            if entry.needs.attribute and wanted is None and name in params.samplers:
                yield (
                    f"{where}: {entry.kind} needs a predictor of the very weights that it guides: "
                    "give attribute, a name under `attributes`, or leave it out of `samplers`"
                )
