"""Names of runs, what their settings change, and their tags, computed from plain data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# No result depends on these sections, so they never count as changed.
UNIMPORTANT_SECTIONS = ("tracking", "cluster")


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """{key: (old, new)} of the entries that differ, as text; "-" if one lacks the key."""
    changed = {}
    for name in sorted(old.keys() | new.keys()):
        if name.split(".")[0] in UNIMPORTANT_SECTIONS:
            continue
        before, after = (str(flat[name]) if name in flat else "-" for flat in (old, new))
        if before != after:
            changed[name] = (before, after)
    return changed


def change_note(changed: Mapping[str, tuple[str, str]], previous: str) -> str:
    """Markdown: what differs from the run named `previous`."""
    if not changed:
        return f"Same params as *{previous}* (data or code differ)."
    rows = [f"| `{name}` | {old} | {new} |" for name, (old, new) in changed.items()]
    head = [f"Changed against *{previous}*:", "", "| param | before | now |", "|---|---|---|"]
    return "\n".join(head + rows)


def closest_preset(
    flat: Mapping[str, Any], presets: Mapping[str, Mapping[str, Any]]
) -> tuple[str, dict[str, tuple[str, str]]] | None:
    """(name, differences) of the preset with the fewest differences; None without presets."""
    if not presets:
        return None
    apart = {name: differences(preset, flat) for name, preset in sorted(presets.items())}
    name = min(apart, key=lambda preset: len(apart[preset]))
    return name, apart[name]


def dataset_name(flat: Mapping[str, Any]) -> str:
    """digits, FashionMNIST, or the name of the user's folder."""
    data = flat.get("dataset.name") or flat.get("dataset.source") or "data"
    if flat.get("dataset.source") == "image_folder" and flat.get("dataset.path"):
        data = Path(str(flat["dataset.path"])).stem
    return str(data).replace("/", "-")


def parent_name(
    flat: Mapping[str, Any], pipeline_tag: str, changed: Mapping[str, tuple[str, str]] = {}
) -> str:
    """Name of a parent run, such as "digits graph s0 lr=0.02 3f2a".

    Data set, form of the game, seed, what differs from the closest preset (two entries at most,
    then a count), and the first characters of the fingerprint.
    """
    said = {"seed", "structure.kind", "dataset.name", "dataset.source", "dataset.path"}
    extra = [name for name in changed if name not in said]
    words = [dataset_name(flat), str(flat.get("structure.kind", "none"))]
    words.append(f"s{flat.get('seed', 0)}")
    words += [f"{name.rpartition('.')[2]}={changed[name][1]}"[:24] for name in extra[:2]]
    if len(extra) > 2:
        words.append(f"+{len(extra) - 2}")
    return " ".join([*words, pipeline_tag[:4]])


def child_name(stage: str, item: str | None = None) -> str:
    """Name of a stage's run: "train", "evaluate 0.05 default"."""
    length, _, sampler = (item or "").rpartition("-")  # the length may be 1e-05
    return " ".join(filter(None, [stage, length, sampler]))


def gate_tags(train: Mapping[str, Any]) -> dict[str, str]:
    """Tags with the share of plays at an open gate and the reasons why it was shut; {} without a
    game. train: the content of train.json."""
    gate = train.get("gate")
    if not gate:
        return {}
    plays = train.get("structure_plays", 0)
    shut = sorted(gate["shut_reasons"].items(), key=lambda entry: (-entry[1], entry[0]))
    reasons = "; ".join(f"{reason} x{count}" for reason, count in shut if count)
    return {
        "gate.open_fraction": f"{gate['open_fraction']:.3f}" if plays else "0.000",
        "gate.shut_reasons": reasons or ("never shut" if plays else "never played"),
    }
