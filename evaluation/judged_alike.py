"""What a judgement depends on besides the images judged, and where judgements differ in it.

Two metrics can be compared if they were judged alike: against the same real images, in the features
of the same network, with as many images. The protocol that `judge` stores says all of it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Value = str | int | float | bool | None

DATA = "dataset_hash"
NO_MATTER = ("seed", "notes", "versions", "training", "copies", "resolution_of_structure_gap")
"""Entries of the protocol that make no metric incomparable. (Training of the classifier shows in
its weights, copies in the number of images.)"""
SAYS = {
    DATA: "data",
    "extractor": "feature network",
    "weights_sha256": "weights of the feature network",
    "n": "n (images on each side)",
    "num_generated": "images generated",
    "num_train": "training images",
    "num_held_out": "held-out images",
    "copies_merged": "copies merged",
}
NAME = "data"
"""Names the data for the reader. Equal data may have two names, so it is not compared."""
DIGITS = 16
"""Of a hash that are kept."""


def judged_by(protocol: Mapping[str, Any], dataset: Mapping[str, Any]) -> dict[str, Value]:
    """What must be equal for metrics to be compared, as flat plain data; and the data's name.

    protocol: of a judgement (evaluation/judge.py); {} if it is not known: then nothing is.
    dataset: content of dataset.json.
    """
    if not protocol:
        return {}
    out = {
        name: _short(value)
        for name, value in protocol.items()
        if name not in NO_MATTER and isinstance(value, str | int | float)
    }
    copies = protocol.get("copies") or {}
    merged = [v for k, v in copies.items() if k.startswith("merged_") and isinstance(v, int)]
    out["copies_merged"] = sum(merged)
    return out | {NAME: data_name(dataset)}


def reference_basis(manifest: Mapping[str, Any]) -> dict[str, Value]:
    """The part of `judged_by` that a reference alone decides. manifest: its reference.json."""
    known = ("dataset_hash", "num_train", "num_held_out", "copies")
    protocol = manifest["protocol"] | {key: manifest[key] for key in known if key in manifest}
    basis = judged_by(protocol, {})
    del basis[NAME]
    return basis


def data_name(dataset: Mapping[str, Any]) -> str:
    """ "digits, 8x8, 1 channel": which data dataset.json describes, for a reader."""
    path = dataset.get("path") if dataset.get("source") == "image_folder" else None
    name = Path(str(path)).stem if path else dataset.get("name") or dataset.get("source") or "data"
    side, channels = dataset.get("resolution", "?"), dataset.get("channels", "?")
    return f"{name}, {side}x{side}, {channels} channel{'s' * (channels != 1)}"


def judged_differently(bases: Sequence[Mapping[str, Value]]) -> list[list[str]]:
    """Rows [what, its value in each basis] of all in which they differ; [] if judged alike.

    bases: of `judged_by`. What a basis does not say, as those of older versions, is shown as "-"
    and differs from nothing.
    """
    rows = []
    named = {name for basis in bases for name in basis} - {NAME}
    for name in [*(n for n in SAYS if n in named), *sorted(named - SAYS.keys())]:
        if len({str(basis[name]) for basis in bases if name in basis}) > 1:
            rows.append([SAYS.get(name, name.replace("_", " ")), *(_shown(b, name) for b in bases)])
    return rows


def refusal(rows: Sequence[Sequence[str]], what: str) -> str:
    """The line that refuses to compare. rows: of `judged_differently`; what: "runs"."""
    names = ", ".join(row[0] for row in rows)
    return (
        f"these {what} are not judged alike, so their metrics cannot be compared: they differ in "
        f"{names} (the table above). Compare {what} of the same data and evaluation, or add "
        "--anyway to see them side by side, without differences and each beside its own floor"
    )


def _short(value: Any) -> Value:
    is_hash = isinstance(value, str) and len(value) >= 32 and set(value) <= set("0123456789abcdef")
    return value[:DIGITS] if is_hash else value


def _shown(basis: Mapping[str, Value], name: str) -> str:
    if name not in basis:
        return "-"
    value = str(basis[name])
    return f"{basis[NAME]} ({value[:8]})" if name == DATA and NAME in basis else value
