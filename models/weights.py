"""Weights on disk: `NAME.safetensors` with `NAME.json` beside it. No pickle."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor


class WeightsError(ValueError):
    """A weights file is missing, damaged, or does not fit."""


def save_weights(path: Path, tensors: dict[str, Tensor], description: dict) -> None:
    """Write tensors and their description; the JSON appears last, so a half pair is never loaded."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside = temporary.with_suffix(".json.tmp")
    beside.write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary)
    shutil.copymode(beside, temporary)  # safetensors makes files that only their owner can read
    os.replace(temporary, path)
    os.replace(beside, path.with_suffix(".json"))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and description of a pair of files. Raises WeightsError, naming the file."""
    description = load_description(path)
    try:
        return load_file(path), description
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def load_description(path: Path) -> dict:
    """The description alone, where no tensor is wanted. Raises WeightsError, naming the file."""
    path = Path(path)
    for part in (path, path.with_suffix(".json")):
        if not part.is_file():
            raise WeightsError(
                f"{part} does not exist: weights are a .safetensors file with a .json beside it"
            )
    try:
        return json.loads(path.with_suffix(".json").read_text())
    except (json.JSONDecodeError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path} is damaged ({error}): make it again or copy it anew")


def file_hash(path: str | Path) -> str:
    """sha256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
