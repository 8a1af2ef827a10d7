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
                yield f"{where}.attribute: {wanted!r:.80} is not a name under attributes{hint}"
            if entry.needs.attribute and wanted is None and name in params.samplers:
                yield (
                    f"{where}: {entry.kind} needs a predictor of the very weights that it guides: "
                    "give attribute, a name under `attributes`, or leave it out of `samplers`"
                )
            if name in params.samplers:
                yield from _cut_groups(params, f"{where}.group", entry.group_size)
            values = params.attributes[wanted].values if wanted in params.attributes else None
            for value in getattr(entry, "target", {}):
                if values is not None and value not in values:
                    yield (
                        f"{where}.target: {value!r:.80} is not one of the values of attribute "
                        f"{wanted}{spelling_hint(value, values)}"
                    )


def _cut_groups(params: "Params", where: str, group: int) -> Iterator[str]:
    """Numbers of images in evaluate that would cut groups of images which depend on one another."""
    evaluation = params.evaluation
    for key, count in (
        ("num_images", evaluation.num_images),
        ("batch_size", min(evaluation.batch_size, evaluation.num_images)),
    ):
        if count % group:
            yield (
                f"{where}: evaluation.{key} {count} would cut groups of {group}: make it a "
                f"multiple, such as {count // group * group or group}"
            )


def attribute_remarks(params: "Params") -> Iterator[str]:
    """One line for each setting that is allowed but probably not what the user meant."""
    if not params.model.class_conditional:
        return
    for name in dict.fromkeys(params.samplers):
        sampler = params.sampling.get(name)
        for entry in () if sampler is None else sampler.guidance:
            if entry.needs.attribute:
                yield (
                    f"sampling.{name}: {entry.kind} steers what the denoiser would draw by itself, "
                    "and with model.class_conditional each image is asked for by its class, at the "
                    "shares of the training images: set it to false to steer classes"
                )
