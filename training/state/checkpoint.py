"""Checkpoints: one safetensors file with all that the rest of a run depends on.

A checkpoint is written whole or not at all, with a checksum of its content. The newest two are
kept. A damaged one is renamed, and the one before it is used.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from foundation.atomic_files import replacing
from models.weights import write_tensors

KEEP = 2
FORMAT = "2"
PATTERN = "checkpoint-*.safetensors"
Loaded = tuple[dict[str, Tensor], dict]
"""(tensors by name, JSON-able state)."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read."""


class OtherFormat(CheckpointError):
    """A checkpoint is intact but was written by another version of this code."""


def checkpoint_path(folder: Path, nimg: int) -> Path:
    """The file of the checkpoint at `nimg` images."""
    return Path(folder) / f"checkpoint-{nimg:012d}.safetensors"


def save_checkpoint(folder: Path, nimg: int, tensors: dict[str, Tensor], plain: dict) -> Path:
    """Write one checkpoint; of those with fewer images keep the newest, remove the others.

    Checkpoints with more images do not count: they are not of this run's past (such as a damaged
    one that could not be renamed), and must not cause the new one to be removed.
    """
    tensors = {n: t.detach().cpu().contiguous() for n, t in tensors.items()}
    text = json.dumps(plain)
    metadata = {"format": FORMAT, "plain": text, "sha256": _digest(tensors, text)}
    path = checkpoint_path(folder, nimg)
    with replacing(path) as temporary:
        write_tensors(tensors, temporary, path, metadata)
    older = sorted(other for other in Path(folder).glob(PATTERN) if other.name < path.name)
    for old in older[: -(KEEP - 1)]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(path: Path) -> Loaded:
    """Read a checkpoint.

    Raises CheckpointError if the file is truncated or altered, OtherFormat if it is whole but
    another version wrote it.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        text = metadata["plain"]
        if metadata.get("format", "1") != FORMAT:
            raise OtherFormat(
                f"{path} was written by another version of this code (format "
                f"{metadata.get('format', '1')}, this one reads {FORMAT}): go on with that "
                "version, or train anew with --fresh (TRAIN_FRESH=1 under DVC)"
            )
        plain = json.loads(text)
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if _digest(tensors, text) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum")
    return tensors, plain


def load_latest(folder: Path, warn: Callable[[str], None]) -> Loaded | None:
    """The newest readable checkpoint of a folder; None if there is none.

    A damaged one is renamed to NAME.damaged, and `warn` is called with a line about it. Raises
    OtherFormat if another version wrote the newest intact one.
    """
    for path in sorted(Path(folder).glob(PATTERN), reverse=True):
        try:
            return load_checkpoint(path)
        except OtherFormat:
            raise
        except CheckpointError as error:
            aside = path.with_name(f"{path.name}.damaged")
            try:
                os.replace(path, aside)
                warn(f"{error}; it is now {aside.name}, and the checkpoint before it is used")
            except OSError:  # another worker has renamed it, or the folder is read-only
                warn(f"{error}; the checkpoint before it is used")
    return None


def _digest(tensors: dict[str, Tensor], plain: str) -> str:
    """SHA-256 of the names and contents of all tensors and of the JSON text `plain`."""
    digest = hashlib.sha256(plain.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
