"""Checkpoints: one safetensors file with all that the rest of a run depends on.

A checkpoint is written whole or not at all, with a checksum of all that is read back. The newest
two are kept. A damaged one is renamed, and the one before it is used.
"""

import errno
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
FORMAT = "3"
READABLE = ("2", "3")
"""The checksum of format 2 omitted the shapes and types of the tensors, and the format itself."""
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
    metadata = {"format": FORMAT, "plain": text, "sha256": _digest(FORMAT, tensors, text)}
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
    another version wrote it, OSError if the system does not let it be read.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        text, written = metadata["plain"], metadata.get("format", "1")
        forms = (written,) if written in READABLE else READABLE  # a damaged format is none of ours
        intact = any(_digest(form, tensors, text) == metadata.get("sha256") for form in forms)
        if written not in READABLE and not intact:
            raise OtherFormat(
                f"{path} was written by another version of this code (format {written}, this one "
                f"reads {' and '.join(READABLE)}): go on with that version, or train anew with "
                "--fresh (TRAIN_FRESH=1 under DVC)"
            )
        if written not in READABLE or not intact:
            raise CheckpointError(f"{path} is damaged: its content does not match its checksum")
        return tensors, json.loads(text)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno in (errno.EIO, None):
            raise CheckpointError(f"{path} is damaged: {error}") from error
        raise  # such as a lack of rights: the file may be whole, so nothing is made of it
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error


def load_latest(
    folder: Path, warn: Callable[[str], None], before: int | None = None
) -> Loaded | None:
    """The newest readable checkpoint of a folder; None if there is none.

    Args:
        before: only checkpoints of fewer images are looked at; None: all.

    A damaged one is renamed to NAME.damaged, and `warn` is called with a line about it. Raises
    OtherFormat if another version wrote the newest intact one.
    """
    paths = [p for p in checkpoints(folder) if before is None or checkpoint_nimg(p) < before]
    for path in reversed(paths):
        try:
            return load_checkpoint(path)
        except OtherFormat:
            raise
        except CheckpointError as error:
            last = path == paths[0]
            next_one = "no checkpoint is before it" if last else "the one before is used"
            aside = path.with_name(f"{path.name}.damaged")
            try:
                os.replace(path, aside)
                warn(f"{error}; it is now {aside.name}, and {next_one}")
            except OSError:  # another worker has renamed it, or the folder is read-only
                warn(f"{error}; {next_one}")
    return None


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files of a folder, by the images they were written at."""
    return sorted(p for p in Path(folder).glob(PATTERN) if p.stem.split("-")[1].isdecimal())


def checkpoint_nimg(path: Path) -> int:
    """The images after which a checkpoint was written, as its name says."""
    return int(path.stem.split("-")[1])


def _digest(form: str, tensors: dict[str, Tensor], plain: str) -> str:
    """SHA-256 of all tensors and of the JSON text `plain`, as the format `form` has it."""
    digest = hashlib.sha256(plain.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        told = name if form == "2" else json.dumps([form, name, str(tensor.dtype), *tensor.shape])
        digest.update(told.encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
