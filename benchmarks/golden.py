"""Golden traces: checks that a change of the code changes no number of a training, bit for bit.

    python -m benchmarks.golden record /tmp/golden.json     # before the change
    python -m benchmarks.golden compare /tmp/golden.json    # after it, on the same machine

Two runs of 50 steps each: the default preset (fakes onestep), and the network of fashion_mnist with
its adapter (fakes deployed) on enlarged digits. Settings are changed so that plays with an open
gate, held-out measurements, snapshots, previews, and an interruption with resume all happen within
these steps. A trace holds every logged value, every event with a result, and a hash of each final
tensor without its name. Other processors round differently, so compare on one machine.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file

from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from foundation.nested_settings import merged
from pipelines.params import load_params

STEPS, BATCH = 50, 128
INTERRUPTED_AT = 23 * BATCH
GATE = {
    "chance_margin": 0.0,
    "min_plays": 1,
    "win_gap": 1e6,
    "smoothing": 0.0,
    "max_worsening": 100.0,
}

SHARED = {
    "train": {
        "total_kimg": STEPS * BATCH / 1000,
        "batch_size": BATCH,
        "lr_ramp_kimg": 1.0,
        "lr_decay_kimg": 3.0,
        "precision": "fp32",
        "log_every_kimg": BATCH / 1000,
        "held_out_every_kimg": 10 * BATCH / 1000,
        "held_out_images": 64,
    },
    "structure": {
        "start_kimg": 10 * BATCH / 1000,
        "every": 4,
        "batch_size": 32,
        "statistics_images": 128,
        "gate": GATE,
    },
    "ema": {"snapshots": 4},
    "cluster": {"checkpoint_every_s": 0.0},
    "tracking": {"sample_every_kimg": 20 * BATCH / 1000},
}
TRACES: dict[str, dict[str, Any]] = {
    "digits": {},
    "fashion_mnist": {
        "dataset": {
            "source": "digits",
            "name": None,
            "path": None,
            "resolution": 16,
            "resize": "lanczos",
            "held_out": 0.25,
        },
        "model": {"dropout": 0.1},
        "train": {"horizontal_flip": True},
        "structure": {"every": 8},
        "cluster": {"micro_batch": 40},
    },
}


class Interrupted(BaseException):
    """Raised to interrupt the first half of a run."""


def trace(name: str, folder: Path) -> dict[str, Any]:
    """Train one of TRACES, interrupted once, and return all its numbers as plain data."""
    from foundation.workers import World
    from training.loop import train

    raw = yaml.safe_load(Path(f"presets/{name}.yaml").read_text())
    raw = merged(merged(raw, SHARED), TRACES[name])
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    params = load_params(folder / "params.yaml")
    prepare_dataset(params.dataset, folder / "dataset")
    dataset, settings = ImageDataset(folder / "dataset"), params.run_settings()
    events: list[dict[str, Any]] = []

    def report(event: Any) -> None:
        plain = _plain(event)
        if plain["kind"] in ("gate", "samples", "start"):
            events.append(plain)
        if plain["kind"] == "checkpoint" and plain["nimg"] == INTERRUPTED_AT:
            raise Interrupted

    try:
        train(settings, dataset, folder / "run", World(), report)
    except Interrupted:
        events.append({"kind": "interrupted"})
    summary = train(settings, dataset, folder / "run", World(), report)
    run = folder / "run"
    curves = [json.loads(line) for line in (run / "curves.jsonl").read_text().splitlines()]
    checkpoint = sorted((run / "checkpoints").glob("*.safetensors"))[-1]
    snapshots = sorted((run / "snapshots").glob("*.safetensors"))
    return {
        "curves": curves,
        "events": events,
        "summary": summary,
        "checkpoint": _hashes(checkpoint),
        "snapshots": {path.name: _hashes(path) for path in snapshots},
    }


def _plain(event: Any) -> dict[str, Any]:
    """An event as JSON-able data, with pictures replaced by their hash and without a path."""
    fields = asdict(event) | {"kind": event.kind} if is_dataclass(event) else dict(event)
    images = fields.pop("images", None)
    if images is not None:
        fields["images"] = hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()
    fields.pop("path", None)
    return json.loads(json.dumps({key: v for key, v in fields.items() if v is not None}))


def _hashes(path: Path) -> list[str]:
    """The sorted hashes of all tensors in a file; their names do not enter."""
    return sorted(
        hashlib.sha256(f"{value.dtype} {value.shape}".encode() + value.tobytes()).hexdigest()
        for value in load_file(path).values()
    )


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """A line for each number in which two traces differ. path: begins the lines."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [
            line
            for key in keys
            for line in differences(before.get(key), after.get(key), f"{path}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            line
            for i, pair in enumerate(zip(before, after, strict=True))
            for line in differences(*pair, f"{path}[{i}]")
        ]
    return [] if before == after else [f"{path.lstrip('.')}: {before!r} -> {after!r}"[:200]]


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("what", choices=("record", "compare"))
    arguments.add_argument("file", type=Path)
    args = arguments.parse_args()
    import torch  # which --help does without

    torch.set_num_threads(1)
    found = {}
    for name in TRACES:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = trace(name, Path(folder))
        plays = found[name]["summary"]["structure_plays"]
        print(f"{name}: {len(found[name]['curves'])} rows, {plays} plays", flush=True)
    if args.what == "record":
        args.file.write_text(json.dumps(found, indent=1) + "\n")
        return
    before = json.loads(args.file.read_text())
    lines = differences(before, json.loads(json.dumps(found)))
    if lines:
        sys.exit("\n".join([f"{len(lines)} numbers differ", *lines[:20]]))
    print("equal, bit for bit")


if __name__ == "__main__":
    main()
