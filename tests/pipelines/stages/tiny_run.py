"""A whole pipeline of seconds, whose stages run in this process on digits; loaded by run_path."""

import os
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import evaluation.classifier
import pipelines.summarize
from foundation.nested_settings import merged
from pipelines.console.command import run_stage

ROOT = Path(__file__).resolve().parents[3]
LINKS = ("dataset", "discriminators", "evaluation", "foundation", "models", "pipelines")
LINKS += ("sampling", "training", "presets", "dvc.yaml")
ITEM = "0.1-fast"
STAGES = ("prepare", "reference", "train", "reconstruct", "evaluate", "summarize")
PARAMS = {
    "model": {
        "channels": 8,
        "channel_mult": [1, 2],
        "attention_resolutions": [],
        "structural_blocks": [],
    },
    "train": {
        "total_kimg": 0.064,
        "batch_size": 16,
        "lr_ramp_kimg": 0.0,
        "log_every_kimg": 0.016,
        "held_out_every_kimg": 0.032,
        "held_out_images": 16,
    },
    "structure": {"kind": "none"},
    "ema": {"snapshots": 2, "lengths": [0.1]},
    "samplers": ["fast"],
    "evaluation": {
        "num_images": 32,
        "batch_size": 16,
        "floor_draws": 2,
        "kid_subsets": 2,
        "kid_subset_size": 16,
        "picture_images": 4,
    },
    "cluster": {"num_workers": 0, "checkpoint_every_s": 0.0},
    "tracking": {"enabled": False},
}


def set_up(folder: Path) -> None:
    """Links to the code, and params.yaml, in a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKS:
        os.symlink(ROOT / name, folder / name)
    raw = merged(yaml.safe_load((ROOT / "presets/digits.yaml").read_text()), PARAMS)
    raw["sampling"] = {"fast": {"solver": "heun", "grid": "karras", "steps": 3}}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))


def run(stage: str) -> str:
    """Run a stage in the current folder as a command does; returns its error, or ""."""
    options = ["--length", "0.1", "--sampler", "fast"] if stage == "evaluate" else []
    module = import_module(f"pipelines.{stage}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [stage, *options])
        patch.setattr(evaluation.classifier, "EPOCHS", 0)
        patch.setattr(evaluation.classifier, "MIN_BATCHES", 4)
        patch.setattr(pipelines.summarize, "render", lambda inputs: "a page")  # takes seconds
        patch.delenv("DVC_ROOT", raising=False)
        try:
            run_stage(module.main)
        except SystemExit as end:
            return str(end.code or "")
    return ""


def content(folder: Path) -> dict[str, bytes]:
    """{name: bytes} of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
