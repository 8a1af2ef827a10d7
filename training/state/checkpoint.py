"""Checkpoints: one safetensors file that holds all that the future of a run depends on.

Each is written whole or not at all, under a checksum of everything that is read back. The newest
two are kept. A damaged one is set aside under another name, and the one before it is used.
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

from foundation.atomic_files import replacing

KEEP = 2
FORMAT = "2"
PATTERN = "checkpoint-*.safetensors"
Loaded = tuple[dict[str, Tensor], dict]
"""Tensors and plain state."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read."""


class OtherFormat(CheckpointError):
    """A checkpoint is intact and was written by another version of this code."""


def checkpoint_path(folder: Path, nimg: int) -> Path:
    """The file of a checkpoint at so many images."""
    return Path(folder) / f"checkpoint-{nimg:012d}.safetensors"


def save_checkpoint(folder: Path, nimg: int, tensors: dict[str, Tensor], plain: dict) -> Path:
    """Write one checkpoint, then remove all that are older but the newest of these.

    Those of more images are no checkpoints of this run's past (a damaged one that could not be set
    aside, say), and never push out the one just written.
    """
    tensors = {n: t.detach().cpu().contiguous() for n, t in tensors.items()}
    text = json.dumps(plain)
    metadata = {"format": FORMAT, "plain": text, "sha256": _digest(tensors, text)}
    path = checkpoint_path(folder, nimg)
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)
    older = sorted(other for other in Path(folder).glob(PATTERN) if other.name < path.name)
    for old in older[: -(KEEP - 1)]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(path: Path) -> Loaded:
    """Tensors and plain state.

    Raises CheckpointError when the file is truncated or altered, OtherFormat when it is whole and
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
                "version, "
                "or train anew with --fresh (TRAIN_FRESH=1 under DVC)"
            )
        plain = json.loads(text)
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if _digest(tensors, text) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum")
    return tensors, plain


def load_latest(folder: Path, warn: Callable[[str], None]) -> Loaded | None:
    """The newest readable checkpoint of a folder, or None where there is none.

    A damaged one is renamed to NAME.damaged and named to `warn`. Raises OtherFormat for one that
    another version wrote.
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
            except OSError:  # another worker was first, or nothing may be renamed here
                warn(f"{error}; the checkpoint before it is used")
    return None


def _digest(tensors: dict[str, Tensor], plain: str) -> str:
    """sha256 of names and contents of all tensors, and of the plain state's text."""
    digest = hashlib.sha256(plain.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
