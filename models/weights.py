"""Weights on disk: `NAME.safetensors` with `NAME.json` beside it. No pickle."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from foundation.atomic_files import replacing, write_text

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 2
READABLE = (1, 2)
"""Format 1 had no checksum."""


class WeightsError(ValueError):
    """A weights file is missing, damaged, or does not fit."""


def save_weights(path: Path, tensors: "dict[str, Tensor]", description: dict) -> None:
    """Write tensors and their description, each file whole or not at all.

    The JSON is written last and holds the tensors' checksum, so that `load_tensors` notices when a
    crash has replaced only one of the two files.
    """
    from safetensors.torch import save_file

    path = Path(path)
    with replacing(path) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary)
        facts = {"format": FORMAT, "sha256": file_hash(temporary)}
    write_text(
        path.with_suffix(".json"), json.dumps(description | facts, indent=1, sort_keys=True) + "\n"
    )


def load_tensors(path: Path) -> "tuple[dict[str, Tensor], dict]":
    """Tensors and description of a pair of files. Raises WeightsError, naming the file."""
    from safetensors.torch import load_file

    path = Path(path)
    written = _read_json(path)
    description = _described(path, written)
    try:
        if written.get("sha256", found := file_hash(path)) != found:
            raise WeightsError(
                f"{path} is damaged, or its .json is of other weights (checksum {found[:12]}..., "
                f"expected {str(written['sha256'])[:12]}...): make it again or copy both anew"
            )
        return load_file(path), description
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def load_description(path: Path) -> dict:
    """The description alone, where no tensor is wanted. Raises WeightsError, naming the file."""
    return _described(Path(path), _read_json(Path(path)))


def _read_json(path: Path) -> dict:
    for part in (path, path.with_suffix(".json")):
        if not part.is_file():
            raise WeightsError(
                f"{part} does not exist: weights are a .safetensors file with a .json beside it"
            )
    try:
        written = json.loads(path.with_suffix(".json").read_text())
    except (ValueError, OSError) as error:
        raise _damaged(path.with_suffix(".json"), error) from error
    if not isinstance(written, dict):
        raise _damaged(path.with_suffix(".json"), f"it holds a {type(written).__name__}")
    return written


def _described(path: Path, written: dict) -> dict:
    """The description that `save_weights` was given; raises WeightsError for an unknown format."""
    if written.get("format", 1) not in READABLE:
        raise WeightsError(
            f"{path.with_suffix('.json')} has format {written['format']}, and this version reads "
            f"{' and '.join(map(str, READABLE))}: load it with the version that wrote it"
        )
    return {key: value for key, value in written.items() if key not in ("format", "sha256")}


def _damaged(path: Path, error: object) -> WeightsError:
    return WeightsError(f"{path} is damaged ({error}): make it again or copy it anew")


def tensors_hash(tensors: "Mapping[str, Tensor]") -> str:
    """sha256 of names, shapes and values (as float32), hexadecimal, whatever their order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def file_hash(path: str | Path) -> str:
    """sha256 of a file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
