"""What a run says about itself: its process, its git state, its name, and what it changed.

Plain data in, plain data out; nothing here knows MLflow.
"""

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

# Settings that decide no result, so they are never part of "what changed".
UNIMPORTANT_SECTIONS = ("tracking", "cluster")


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections -> {"train.lr": 0.01}; lists and empty mappings become JSON text."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{name}."))
        elif isinstance(value, Mapping | list | tuple):
            flat[name] = json.dumps(value)
        else:
            flat[name] = value
    return flat


def select(flat: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The entries of a flat mapping that lie at or below one of the dotted keys."""
    return {
        name: value
        for name, value in flat.items()
        if any(name == key or name.startswith(f"{key}.") for key in keys)
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """{key: (old, new)} of the entries that differ, as text; one that is absent reads "-"."""
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


def nearest_preset(
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
    """A name that reads by itself in a table: "digits graph s0 lr=0.02 3f2a".

    Data set, form of the game, seed, what differs from the nearest preset (two entries at most,
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
    """A stage's run: "train", "evaluate 0.05 default"."""
    return " ".join(filter(None, [stage, (item or "").replace("-", " ")]))


def process_tags(process: psutil.Process | None = None) -> dict[str, str]:
    """Tags that tell later whether this process is still alive."""
    process = process or psutil.Process()
    return {
        "process.pid": str(process.pid),
        "process.started": f"{process.create_time():.1f}",
        "process.host": socket.gethostname(),
    }


def owner_tags() -> dict[str, str]:
    """The same for the process that runs the whole pipeline: `dvc` if it started us, else us."""
    process = psutil.Process()
    for ancestor in process.parents():
        try:
            words = ancestor.cmdline()
        except psutil.Error:
            continue
        if any(Path(word).name == "dvc" for word in words[:3]) or words[1:3] == ["-m", "dvc"]:
            return process_tags(ancestor)
    return process_tags(process)


def is_dead(tags: Mapping[str, str]) -> bool:
    """True only if the process named by `process_tags` ran on this machine and is gone."""
    if tags.get("process.host") != socket.gethostname() or "process.pid" not in tags:
        return False
    try:
        process = psutil.Process(int(tags["process.pid"]))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        # A pid is used again; the start time is not (clocks are corrected by a second or so).
        return abs(process.create_time() - float(tags.get("process.started", 0))) > 2.0
    except psutil.AccessDenied:
        return False
    except (psutil.NoSuchProcess, ValueError):
        return True


def gate_tags(train: Mapping[str, Any]) -> dict[str, str]:
    """How much of the game was played with an open gate, and why not more; {} without a game."""
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


def git_tags(folder: Path = Path()) -> dict[str, str]:
    """Commit, branch, and whether code or settings differ from the commit; {} outside git."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *words], cwd=folder, capture_output=True, text=True, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.rstrip("\n") if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return {}
    changed = []
    for line in (git("status", "--porcelain", "--untracked-files=normal") or "").splitlines():
        state, name = line[:2], line[3:].strip('"')
        # Results of stages are no change of code; of untracked files only code counts.
        if name == "dvc.lock" or name.startswith("reports/"):
            continue
        if state != "??" or name.endswith((".py", ".yaml")):
            changed.append(name)
    tags = {
        "git.commit": commit,
        "git.branch": git("rev-parse", "--abbrev-ref", "HEAD") or "HEAD",
        "git.dirty": str(bool(changed)).lower(),
        "mlflow.source.git.commit": commit,
    }
    if changed:
        tags["git.changed"] = ", ".join(changed[:50])
    return tags


def dvc_tags() -> dict[str, str]:
    """The DVC experiment this process belongs to, if any."""
    names = {"dvc.experiment": "DVC_EXP_NAME", "dvc.baseline": "DVC_EXP_BASELINE_REV"}
    return {tag: os.environ[name] for tag, name in names.items() if os.environ.get(name)}
