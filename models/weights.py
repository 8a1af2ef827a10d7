"""Weights on disk: `NAME.safetensors` with `NAME.json` beside it. No pickle."""

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from foundation.atomic_files import copy_whole, replacing, write_text
from foundation.did_you_mean import spelling_hint
from foundation.json_files import read_object
from foundation.json_hash import json_hash

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 3
READABLE = (1, 2, 3)
"""Format 1 had no checksum, format 2 one of the tensors alone."""
CHECKSUMS = {1: (), 2: ("sha256",), 3: ("sha256", "description_sha256")}
"""Checksums that the JSON of each format must hold."""


class WeightsError(ValueError):
    """A weights file is missing, damaged, or does not fit."""


def save_weights(path: Path, tensors: "dict[str, Tensor]", description: dict) -> None:
    """Write tensors and their description, each file whole or not at all.

    The JSON is written last and holds a checksum of the tensors' file and one of itself, so that
    `load_tensors` notices damage, and when a crash has replaced only one of the two files.
    """
    path = Path(path)
    with replacing(path) as temporary:
        write_tensors(
            {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, path
        )
        checksum = file_hash(temporary)
    _write_description(path, description, checksum)


def copy_weights(source: Path, path: Path, description: dict) -> None:
    """Copy a weights file, and write this description beside the copy.

    Raises WeightsError where the copy is damaged.
    """
    copy_whole(source, path)
    _write_description(path, description, file_hash(source))
    check_weights(path)


def _write_description(path: Path, description: dict, checksum: str) -> None:
    """checksum: of the weights file beside it."""
    facts = {
        "format": FORMAT,
        "sha256": checksum,
        "description_sha256": _description_hash(description),
    }
    write_text(
        path.with_suffix(".json"), json.dumps(description | facts, indent=1, sort_keys=True) + "\n"
    )


def write_tensors(
    tensors: "dict[str, Tensor]",
    temporary: Path,
    path: Path,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write one safetensors file at `temporary`, which will become `path`.

    Raises OSError, as every other writer does, where the disk is full or cannot be written.
    """
    from safetensors.torch import save_file

    try:
        save_file(tensors, temporary, metadata=metadata)
    except SafetensorError as error:  # which is neither an OSError nor a ValueError
        if "os error 28" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise OSError(f"{path} cannot be written: {error}") from error


def load_tensors(path: Path) -> "tuple[dict[str, Tensor], dict]":
    """Tensors and description of a pair of files.

    Raises WeightsError, naming the file, if it is missing, damaged, or holds a number that is not
    finite. Files of format 1 have no checksum, so damage that leaves finite numbers goes unseen.
    """
    from safetensors.torch import load_file

    path = Path(path)
    description = check_weights(path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    for name, tensor in tensors.items():
        wide = tensor.float() if tensor.element_size() == 1 else tensor  # float8 has no isfinite
        if tensor.is_floating_point() and not wide.isfinite().all():
            raise _damaged(path, f"{name} holds numbers that are not finite")
    return tensors, description


def check_weights(path: Path) -> dict:
    """The description of a pair of files, after comparing both with their checksums.

    Raises WeightsError, naming the file, if one is missing or damaged.
    """
    path = Path(path)
    written = _read_json(path)
    description = _described(path, written)
    if "sha256" in written:
        try:
            found = file_hash(path)
        except OSError as error:
            raise _damaged(path, error) from error
        if written["sha256"] != found:
            raise WeightsError(
                f"{path} is damaged, or its .json is of other weights (checksum {found[:12]}..., "
                f"expected {str(written['sha256'])[:12]}...): make it again or copy both anew"
            )
    return description


def load_description(path: Path) -> dict:
    """The description alone, where no tensor is wanted. Raises WeightsError, naming the file."""
    return _described(Path(path), _read_json(Path(path)))


def whole(description: Mapping, key: str, least: int, most: int) -> int:
    """A whole number of a description. Raises ValueError unless it lies in the range."""
    value = description[key]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{key} is {value!r:.60}, not a whole number from {least} to {most}")
    return value


def image_shape(description: Mapping) -> tuple[int, int, int]:
    """(C, H, W) of a description. Raises ValueError unless it is of an image."""
    shape = description["image_shape"]
    if not isinstance(shape, list) or len(shape) != 3:
        raise ValueError(f"image_shape is {shape!r:.60}, not [channels, height, width]")
    sides = dict(zip(("channels", "height", "width"), shape, strict=True))
    return (
        whole(sides, "channels", 1, 4096),
        whole(sides, "height", 1, 65_536),
        whole(sides, "width", 1, 65_536),
    )


def check_suffix(path: Path) -> None:
    """Raise WeightsError for a file of another kind, such as README.md."""
    if path.is_file() and path.suffix != ".safetensors":
        raise WeightsError(
            f"{path} is no .safetensors file: weights are a .safetensors file with a .json beside "
            "it, or a folder that python -m pipelines.export wrote"
        )


def _read_json(path: Path) -> dict:
    if path.is_dir():
        inside = sorted(path.glob("*.safetensors"))
        raise WeightsError(
            f"{path} is a folder: name a .safetensors file"
            + (f", such as {inside[0]}" if inside else "")
        )
    check_suffix(path)
    for part in (path, path.with_suffix(".json")):
        if not part.is_file():
            beside = [file.name for file in sorted(path.parent.glob("*.safetensors"))]
            hint = spelling_hint(path.name, beside) if part == path else ""
            raise WeightsError(
                f"{part} does not exist"
                f"{hint or ': weights are a .safetensors file with a .json beside it'}"
            )
    try:
        return read_object(path.with_suffix(".json"))
    except (ValueError, OSError) as error:
        raise _damaged(path.with_suffix(".json"), error) from error


def _described(path: Path, written: dict) -> dict:
    """The description that `save_weights` was given.

    Raises WeightsError for an unknown format and for a JSON that does not match its checksum.
    """
    form, beside = written.get("format", 1), path.with_suffix(".json")
    if form not in READABLE:
        raise WeightsError(
            f"{beside} has format {form}, and this version reads "
            f"{', '.join(map(str, READABLE))}: load it with the version that wrote it"
        )
    description = _without_facts(written)
    missing = [name for name in CHECKSUMS[form] if name not in written]
    if missing:
        raise _damaged(beside, f"it lacks {missing[0]}")
    expected = written.get("description_sha256")
    if expected is not None and expected != _description_hash(description):
        raise WeightsError(
            f"{beside} is damaged, or was changed by hand: copy it anew, or, if the change was "
            "meant, remove its lines format, sha256 and description_sha256"
        )
    return description


def _without_facts(written: Mapping) -> dict:
    return {k: v for k, v in written.items() if k not in ("format", *CHECKSUMS[FORMAT])}


def _description_hash(description: dict) -> str:
    as_read = json.loads(json.dumps(_without_facts(description)))  # keys that are texts all
    return json_hash(as_read)


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
