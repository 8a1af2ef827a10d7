"""Keeps a measurement under .runs/, so that the training which follows need not repeat it."""

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dataset.latents import open_dataset
from dataset.store import ImageDataset
from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.json_hash import json_hash
from pipelines.forecast.duration import Costs
from pipelines.forecast.measure import Measured, measure
from pipelines.forecast.place import prepared_or_none, training_device
from pipelines.forecast.stand_in import write_latent_stand_in, write_stand_in
from pipelines.settings.schema import Params
from pipelines.workspace.paths import DATASET, grid_cache
from pipelines.workspace.training_data import training_dataset
from pipelines.workspace.weights_files import with_encoder_folder, with_init_file

if TYPE_CHECKING:
    import torch

FILE = Path(".runs") / "speed.json"
NO_COST = frozenset(
    (
        *("teacher", "samplers", "lengths", "snapshots", "pairs", "total_kimg", "lr", "critic_lr"),
        *("lr_ramp_kimg", "lr_decay_kimg", "adam_betas", "grad_clip", "log_every_kimg"),
    )
)
"""Settings of a student on which the cost of a step does not depend."""


def file_of(student: str | None) -> Path:
    """Where the measurement of the denoiser's training (None) or of a student's is kept."""
    return FILE if student is None else FILE.with_name(f"speed-{student}.json")


def measured(
    params: Params, root: Path, student: str | None = None, *, anew: bool = False
) -> Measured:
    """What a few steps of this training cost here; from its file under .runs if it stands there.

    student: name of the one that is trained; None: the denoiser. anew: measure in any case. Raises
    ValueError for settings that do not fit each other.
    """
    device = training_device(params.cluster.use_gpu, params.cluster.fewest_workers)
    workers = max(1, params.cluster.most_workers)
    key = _key(params, workers, device, student)
    kept = None if anew else _read(root / file_of(student), key)
    if kept is not None:
        return kept
    update: dict[str, Any] = {"grid_cache": str(grid_cache())}
    if student is None:
        update |= {"model": with_encoder_folder(params), "train": with_init_file(params)}
    settings = params.training_settings(student).model_copy(update=update)
    dataset = prepared_or_none(DATASET, params.dataset.resolution)
    if dataset is not None and params.autoencoder.kind != "none":
        dataset = _latents_or_none(params)
    if dataset is not None:
        found = measure(settings, dataset, workers, device)
    else:
        with TemporaryDirectory(prefix="sadm-speed-") as folder:
            write_stand_in(params.dataset, Path(folder))
            latents = None
            if params.autoencoder.kind != "none":
                latents = Path(folder) / "latents"
                write_latent_stand_in(params.autoencoder, Path(folder), latents)
            found = measure(settings, open_dataset(folder, latents), workers, device)
    write_text(root / file_of(student), json.dumps({"key": key, **asdict(found)}, indent=1) + "\n")
    return found


def _latents_or_none(params: Params) -> ImageDataset | None:
    try:
        return training_dataset(params)
    except ValueError:
        return None


def kept_costs(params: Params, root: Path, student: str | None = None) -> Costs | None:
    """The costs of an earlier measurement of this training; None if there is none."""
    device = training_device(params.cluster.use_gpu, params.cluster.fewest_workers)
    workers = max(1, params.cluster.most_workers)
    kept = _read(root / file_of(student), _key(params, workers, device, student))
    return None if kept is None else kept.costs


def _key(params: Params, workers: int, device: "torch.device", student: str | None = None) -> str:
    """Stands for all that the costs depend on: network, batches, precision and machine."""
    import torch

    settings = params.training_settings(student).model_dump(mode="json")
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    sections = {part: settings[part] for part in ("model", "structure", "micro_batch")}
    train = {part: settings["train"][part] for part in ("batch_size", "precision", "method")}
    data = {part: getattr(params.dataset, part) for part in ("resolution", "channels", "source")}
    machine = [platform.node(), os.cpu_count(), device.type, name, torch.__version__]
    if params.autoencoder.kind != "none":
        data["autoencoder"] = params.autoencoder.model_dump(mode="json")
    parts = [sections, train, data, settings["train"]["held_out_images"], machine, workers]
    if settings["train"].get("optimizer"):  # another than adam
        parts.append(settings["train"]["optimizer"])
    if student is not None:
        parts.append({k: v for k, v in settings["student"].items() if k not in NO_COST})
    return json_hash(parts)


def _read(path: Path, key: str) -> Measured | None:
    try:
        found = read_object(path)
        if found.pop("key") != key:
            return None
        return Measured(**{**found, "costs": Costs(**found["costs"])})
    except (OSError, ValueError, KeyError, TypeError):  # none, or of another version
        return None
