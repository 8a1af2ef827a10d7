"""Checkpoints: one safetensors file that holds all that the future of a run depends on.

Written to a temporary name, flushed to disk, renamed; the last two are kept. A damaged file is
named and skipped, and the one before it is used.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

KEEP = 2


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read."""


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def checkpoint_path(folder: Path, nimg: int) -> Path:
    return Path(folder) / f"checkpoint-{nimg:012d}.safetensors"


def save_checkpoint(folder: Path, nimg: int, tensors: dict[str, Tensor], plain: dict) -> Path:
    """Write one checkpoint and remove all but the newest two."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {n: t.detach().cpu().contiguous() for n, t in tensors.items()}
    metadata = {"plain": json.dumps(plain), "sha256": _digest(tensors)}
    path = checkpoint_path(folder, nimg)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    save_file(tensors, temporary, metadata=metadata)
    with open(temporary, "rb") as stream:
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    for old in sorted(folder.glob("checkpoint-*.safetensors"))[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and plain state. Raises CheckpointError when truncated or altered."""
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        plain = json.loads(metadata["plain"])
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if _digest(tensors) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum")
    return tensors, plain


def load_latest(folder: Path, warn: Callable[[str], None]) -> tuple[dict[str, Tensor], dict] | None:
    """The newest readable checkpoint of a folder, or None. Damaged ones are named to `warn`."""
    for path in sorted(Path(folder).glob("checkpoint-*.safetensors"), reverse=True):
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            warn(f"{error}; using the checkpoint before it")
    return None
