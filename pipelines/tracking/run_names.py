"""Names of runs, what their settings change, and their tags, computed from plain data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.settings.dotted_keys import flatten
from pipelines.tracking.run_note import plain
from pipelines.tracking.student_entries import without_defaults
from pipelines.tracking.unmoved_game import reasons, unmoved_game
from pipelines.workspace.paths import is_student_item, preset_files

# No result depends on these sections, so they never count as changed.
UNIMPORTANT_SECTIONS = ("tracking", "cluster")

TOTAL = "train.total_kimg"
IMPORTANCE = (
    "train.method",
    TOTAL,
    "train.init_from",
    "train.lr",
    "train.batch_size",
    "structure.fakes",
    "structure.lambda_0",
    "structure",
    "model.adapter_rank",
    "model",
    "train",
    "noise",
    "dataset",
    "distil",
    "students",
    "samplers",
    "sampling",
    "seed",
    "evaluation",
    "ema",
)
"""Keys and sections of params.yaml, those that change a result most first."""

LONGEST_NAME = 40
"""Characters of a run's name that MLflow's table shows without a wider column."""
LONGEST_VALUE = 12

JUDGED_BY = "judged_by"
"""Tag of a run: JSON of what its metrics were judged by (evaluation/judged_alike.py)."""
SHOWN_AGAIN = ("gate.", JUDGED_BY)
"""Beginnings of the tags that a run which only shows a result has of the run that made it."""


def importance(key: str) -> tuple[int, str]:
    """Sorts keys of params.yaml: what changes a result most comes first, then by name."""
    fits = [i for i, part in enumerate(IMPORTANCE) if key == part or key.startswith(f"{part}.")]
    # Of "train.lr" and "train", both of which fit train.lr, the longer counts.
    return min(fits, key=lambda i: -len(IMPORTANCE[i]), default=len(IMPORTANCE)), key


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """{key: (old, new)} of the entries that differ, as text; "-" if one lacks the key.

    What changes a result most comes first. Of a student that one of them lacks, its defaults are
    left out.
    """
    changed = {}
    old, new = without_defaults(old, new), without_defaults(new, old)
    for name in sorted(old.keys() | new.keys(), key=importance):
        if name.split(".")[0] in UNIMPORTANT_SECTIONS:
            continue
        before, after = (str(flat[name]) if name in flat else "-" for flat in (old, new))
        if before != after:
            changed[name] = (before, after)
    return changed


def change_note(changed: Mapping[str, tuple[str, str]], previous: str) -> str:
    """Markdown: what differs from the run named `previous`."""
    run = plain(previous)
    if not changed:
        return f"Same params as *{run}* (data or code differ)."
    rows = [f"| `{name}` | {plain(old)} | {plain(new)} |" for name, (old, new) in changed.items()]
    head = [
        f"Changed against *{run}*:",
        "",
        "| param | before | now |",
        "|---|---|---|",
    ]
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
    """Name of a parent run, such as "digits graph s0 16kimg lr=0.02 +3 3f2a".

    Data set, form of the game, seed, what differs from the closest preset (the most important
    entries, as far as LONGEST_NAME allows, then a count of the others), and the first characters of
    the fingerprint. Settings of a game that is not played are left out.
    """
    kind = str(flat.get("structure.kind", "none"))
    said = {"seed", "structure.kind", "dataset.name", "dataset.source", "dataset.path"}
    extra = [
        name
        for name in sorted(changed, key=importance)
        if name not in said
        and changed[name][1] != "-"
        and not (kind == "none" and name.startswith("structure."))
    ]
    words = [dataset_name(flat), kind, f"s{flat.get('seed', 0)}"]
    shown = 0
    for name in extra:
        value = changed[name][1].removesuffix(".0")
        if name == "distil":
            value = "+".join(json.loads(value)) or "none"
        word = f"{_short_key(name, flat)}={value}" if name != TOTAL else f"{value}kimg"
        count = ["+9"] if extra[shown + 1 :] else []
        long = len(" ".join([*words, word, *count, pipeline_tag[:4]])) > LONGEST_NAME
        if len(value) > LONGEST_VALUE or (shown and long):
            break
        words.append(word)
        shown += 1
    if extra[shown:]:
        words.append(f"+{len(extra) - shown}")
    return " ".join([*words, pipeline_tag[:4]])


def _short_key(name: str, flat: Mapping[str, Any]) -> str:
    """The last part of a key, with its section if other sections have one of that name.

    Settings of `train` go without: "lr" is train.lr, "structure.lr" the discriminator's.
    """
    section, _, last = name.rpartition(".")
    others = [key for key in flat if key != name and key.rpartition(".")[2] == last]
    return name if others and section != "train" else last


def child_name(stage: str, item: str | None = None) -> str:
    """Name of a stage's run: "train", "evaluate 0.05 few", "evaluate_students quick 0.05 one"."""
    length, _, sampler = (item or "").rpartition("-")  # the length may be 1e-05
    student, dash, own = length.partition("-")
    if dash and is_student_item(length):
        return f"{stage} {student} {own} {sampler}"
    return " ".join(filter(None, [stage, length, sampler]))


def gate_tags(train: Mapping[str, Any]) -> dict[str, str]:
    """Tags with the share of plays at an open gate, the reasons why it was shut, and a line if the
    game moved nothing; {} without a game. train: the content of train.json."""
    gate = train.get("gate")
    if not gate:
        return {}
    plays = train.get("structure_plays", 0)
    note = unmoved_game(train)
    return {
        "gate.open_fraction": f"{gate['open_fraction']:.3f}" if plays else "0.000",
        "gate.shut_reasons": reasons(gate) or ("never shut" if plays else "never played"),
        **({"gate.note": note} if note else {}),
    }


def load_presets() -> dict[str, dict[str, Any]]:
    """The presets that load, flattened, by name."""
    found = {}
    for path in sorted(preset_files()):
        from pipelines.params import load_params

        try:
            found[path.stem] = flatten(load_params(path).model_dump(mode="json"))
        except ValueError:
            continue
    return found
