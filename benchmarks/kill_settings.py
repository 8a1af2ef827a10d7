"""Settings of seconds for each method of training, which benchmarks/kills.py kills."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundation.nested_settings import merged

if TYPE_CHECKING:
    from dataset.store import ImageDataset
    from training.run_settings import RunSettings

STEPS, BATCH = 24, 16
KIMG = STEPS * BATCH / 1000
SHORT = {
    "total_kimg": KIMG,
    "batch_size": BATCH,
    "lr_ramp_kimg": 0.0,
    "log_every_kimg": BATCH / 1000,
}
STUDENT = {**SHORT, "snapshots": 3, "lengths": [0.1], "samplers": ["one"]}
BASE: dict[str, Any] = {
    "model": {
        "channels": 8,
        "channel_mult": [1, 2],
        "blocks": 1,
        "attention_resolutions": [],
        "structural_blocks": [],
    },
    "train": {**SHORT, "held_out_every_kimg": 4 * BATCH / 1000, "held_out_images": 16},
    "structure": {"kind": "none"},
    "ema": {"snapshots": 4, "lengths": [0.1]},
    "sampling": {"one": {"solver": "consistency", "grid": "explicit", "sigmas": [80.0]}},
    "samplers": ["heun"],
    "cluster": {"num_workers": 0, "checkpoint_every_s": 0.0},
    "tracking": {"enabled": False},
}
GAME = {
    "kind": "graph",
    "start_kimg": 4 * BATCH / 1000,
    "every": 2,
    "width": 8,
    "k": 3,
    "statistics_images": 32,
    "gate": {"chance_margin": 0.0, "min_plays": 1, "win_gap": 1e6, "max_worsening": 100.0},
}
METHODS: dict[str, dict[str, Any]] = {
    "denoising": {},
    "denoising and the game": {"structure": GAME},
    "consistency": {"students": {"s": {"kind": "consistency", "stage_kimg": KIMG / 3, **STUDENT}}},
    "distribution_matching": {
        "students": {"s": {"kind": "distribution_matching", "critic_steps": 2, **STUDENT}}
    },
    "autoencoder": {
        "autoencoder": {
            "kind": "kl",
            "factor": 2,
            "width": 8,
            "channels": 2,
            "total_kimg": KIMG,
            "batch_size": BATCH,
            "lr_ramp_kimg": 0.0,
            "kl_start_kimg": KIMG / 2,
        }
    },
}


def settings_of(method: str, folder: Path) -> "tuple[RunSettings, ImageDataset]":
    """Settings of a run of seconds, on digits that are prepared in `folder`."""
    import yaml

    from dataset.prepare import prepare_dataset
    from dataset.store import ImageDataset
    from pipelines.forecast.stand_in import write_teacher
    from pipelines.params import check_params

    raw = yaml.safe_load(Path("presets/digits.yaml").read_text())
    raw["sampling"] = {"heun": {"solver": "heun", "grid": "karras", "steps": 3}}
    params = check_params(merged(merged(raw, BASE), METHODS[method]))
    if not (folder / "dataset" / "dataset.json").exists():
        prepare_dataset(params.dataset, folder / "dataset")
    dataset = ImageDataset(folder / "dataset")
    if params.students:
        write_teacher(params.run_settings(), dataset, folder)
        return params.student_settings("s", str(folder / "teacher.safetensors")), dataset
    if params.autoencoder.kind == "kl":
        return params.autoencoder_settings(), dataset
    return params.run_settings(), dataset
