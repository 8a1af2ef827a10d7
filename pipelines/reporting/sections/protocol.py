"""The section on how it was measured: the protocol, the data set's facts, versions, settings."""

from typing import Any

from pipelines.reporting.html import details, facts, section, text
from pipelines.reporting.inputs import Inputs
from pipelines.reporting.stage_outputs import Item
from pipelines.settings.dotted_keys import flatten

SHAPE = (
    "source",
    "num_images",
    "num_distinct",
    "num_train",
    "num_held_out",
    "resolution",
    "channels",
    "num_classes",
    "num_unlabelled",
    "resize",
    "background",
    "content_hash",
)
"""Entries of dataset.json that are listed."""


def protocol(inputs: Inputs, best: Item) -> str:
    """All that published numbers tend to differ by, and versions."""
    data, reference = inputs.dataset, inputs.reference
    about: dict[str, Any] = {key: data[key] for key in SHAPE if key in data}
    about["files that could not be read"] = len(data.get("skipped") or [])
    about["files that are no images"] = sum((data.get("other_files") or {}).values())
    versions: dict[str, Any] = {}
    found = {**(reference.get("protocol") or {}), **best.protocol}
    for source in (data, reference, reference.get("protocol") or {}, best.protocol):
        versions |= source.get("versions") or {}
    notes = [f'<p class="note">{text(note)}</p>' for note in found.get("notes") or []]
    found = {key: value for key, value in found.items() if key not in ("versions", "notes")}
    listed = {
        key: str(value) if key.endswith("seed") else value for key, value in flatten(found).items()
    }
    return section(
        "How it was measured",
        "To compare these numbers with others, all of this must be equal: network of the features, "
        "resize, pixel format and number of images.",
        *notes,
        facts({"images generated": best.num_images, "n on each side": best.n} | listed),
        details("Data set", facts(about)),
        details("Versions", facts(dict(sorted(versions.items())))),
    )
