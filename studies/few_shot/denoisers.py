"""Trains the denoisers of the study by the pipeline's own stages, on pictures in folders."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from dataset.store import ImageDataset
from foundation.json_files import read_object
from foundation.json_hash import json_hash
from foundation.nested_settings import merged
from studies.few_shot.tasks import FACING, judged_roles, people, role_of
from studies.staged import ROOT, run_stages

LENGTH = 0.1
STAGES = ("prepare", "latents.autoencoder", "latents.encode", "train", "reconstruct")
COMMON: dict[str, Any] = {
    "dataset": {"source": "image_folder", "name": None, "resize": "area", "held_out": 0.05},
    "model": {"adapter_rank": 0, "class_conditional": False},
    "structure": {"kind": "none"},
    "sampling": {"heun18": {"solver": "heun", "grid": "karras", "steps": 18}},
    "samplers": ["heun18"],
    "ema": {"tracked": [0.05, LENGTH], "snapshots": 4, "lengths": [LENGTH]},
    "cluster": {"num_workers": 0},
    "tracking": {"enabled": False},
}
EMOJI: dict[str, Any] = {
    "dataset": {"resolution": 32},
    "model": {"channel_mult": [1, 2, 4, 4], "attention_resolutions": [8]},
    "train": {"batch_size": 32},
}


def of_classes(
    dataset: Path, unseen: Sequence[str], work: Path, seed: int, kimg: float, **changes: Any
) -> Path:
    """Weights of a denoiser of the data set's other classes, trained unless they are there.

    changes: sections of the params. Raises ValueError where no class is left.
    """
    data = ImageDataset(dataset)
    seen = [name for name in data.label_names if name not in unseen]
    if not seen:
        raise ValueError("--unseen names every class: leave some to train the denoiser on")
    facts = [data.content_hash, seen]
    folder = work / f"pictures-{json_hash(facts)[:16]}"

    def write(to: Path) -> None:
        for label, name in enumerate(data.label_names):
            if name in seen:
                (to / name).mkdir(parents=True)
                for row in np.flatnonzero(data.labels == label):
                    Image.fromarray(data.images[row].squeeze()).save(to / name / f"{row}.png")

    section = {"dataset": {"resolution": data.image_shape[1]}}
    return trained(made(folder, write), merged(section, changes), work, seed, kimg, facts)


def of_emoji(folder: Path, work: Path, seed: int, kimg: float, **changes: Any) -> Path:
    """Weights of a denoiser of all emoji but those in the roles that are judged."""
    words = read_object(folder / "words.json")
    judged = judged_roles(people(words, folder))
    neutral = {name for role in judged for name in (role, f"person {role}", f"person: {role}")}
    tones = [one for side in ("train", "held_out") for one in words[side]]
    left_out = {one["file"] for one in tones if role_of(one["base"]) in judged}
    left_out |= {one["file"] for one in tones if one["base"].removesuffix(FACING) in neutral}
    facts = sorted(left_out)
    place = work / f"pictures-{json_hash(facts)[:16]}"

    def write(to: Path) -> None:
        for file in sorted((folder / "all").rglob("*.png")):
            if file.name not in left_out:
                shutil.copy(file, to / file.name)

    return trained(made(place, write), merged(EMOJI, changes), work, seed, kimg, facts)


def made(folder: Path, write: Any) -> Path:
    """The folder, which `write` fills under another name if it is not there."""
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}-unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        unfinished.rename(folder)
    return folder


def trained(
    pictures: Path,
    changes: Mapping[str, Any],
    work: Path,
    seed: int,
    kimg: float,
    facts: Iterable[Any],
) -> Path:
    """Weights after the stages on these pictures; a training that was killed goes on."""
    params = params_of(pictures, changes, seed, kimg)
    plain = merged(params, {"dataset": {"path": None}})
    folder = work / f"denoiser-{json_hash([plain, list(facts)])[:16]}"
    run_stages(folder, params, STAGES)
    return folder / "outputs" / "ema" / f"{LENGTH}.safetensors"


def params_of(pictures: Path, changes: Mapping[str, Any], seed: int, kimg: float) -> dict[str, Any]:
    """The preset fashion_mnist without a game, on these pictures, for so many kimg."""
    params = yaml.safe_load((ROOT / "presets/fashion_mnist.yaml").read_text())
    for section in ("sampling", "samplers"):
        del params[section]
    params["structure"] = {}
    times = {"total_kimg": kimg, "lr_ramp_kimg": min(20, kimg / 8), "lr_decay_kimg": kimg / 4}
    times |= {"optimizer": "muon", "lr": 0.1}  # a lead of docs/experiment_log.md
    own = {
        "seed": seed,
        "dataset": {"path": str(pictures.resolve())},
        "train": times | {"held_out_every_kimg": kimg / 4},
    }
    return merged(merged(merged(params, COMMON), own), changes)
