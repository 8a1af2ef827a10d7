"""An autoencoder of the library diffusers in a local folder: what its config.json says of it.

Reading it imports neither torch nor the library.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.did_you_mean import spelling_hint
from foundation.json_files import read_object

LEVELS = {
    "AutoencoderKL": "block_out_channels",
    "AutoencoderTiny": "encoder_block_out_channels",
    "AutoencoderDC": "encoder_block_out_channels",
}
"""{class of the library: key of its config that lists the channels of each level}; each level after
the first halves the picture."""
MAKE = "save one there with diffusers' save_pretrained, which writes safetensors"


@dataclass(frozen=True)
class DiffusersFolder:
    """What a folder holds."""

    folder: Path
    class_name: str
    config: dict[str, Any]
    """Arguments of the class."""
    channels: int
    """Of pictures."""
    latent_channels: int
    factor: int
    """By which latents are smaller than pictures."""

    @property
    def files(self) -> list[Path]:
        """config.json and the weights, sorted."""
        return sorted([self.folder / "config.json", *self.folder.glob("*.safetensors")])


def read_diffusers_folder(path: str | Path) -> DiffusersFolder:
    """What the folder holds. Raises ValueError, with the mend, for one without an autoencoder."""
    folder = _find(Path(os.path.expanduser(path)))
    if not folder.is_dir():
        raise ValueError(f"the folder {path} does not exist: {MAKE}")
    if not (folder / "config.json").is_file():
        inside = sorted(file.parent.name for file in folder.glob("*/config.json"))
        hint = f"did you mean {folder / inside[0]}?" if inside else MAKE
        raise ValueError(f"{folder} has no config.json: {hint}")
    if not list(folder.glob("*.safetensors")):
        pickles = sorted(
            file.name for end in ("bin", "pt", "ckpt") for file in folder.glob(f"*.{end}")
        )
        found = f", only {pickles[0]}, which may run code when it is opened" if pickles else ""
        raise ValueError(f"{folder} holds no .safetensors file{found}: {MAKE}")
    try:
        told = read_object(folder / "config.json")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / 'config.json'} is damaged ({error}): copy it anew") from None
    name = told.get("_class_name")
    if not isinstance(name, str) or name not in LEVELS:
        hint = spelling_hint(name, LEVELS) if isinstance(name, str) else ""
        raise ValueError(
            f"{folder} holds a {name or 'model without a class name'}, which is no autoencoder "
            f"known here{hint or ': give one of ' + ', '.join(LEVELS)}"
        )
    levels = told.get(LEVELS[name])
    if not isinstance(levels, list) or not 1 <= len(levels) <= 16:
        raise ValueError(
            f"{folder / 'config.json'} does not list {LEVELS[name]}: {MAKE}, from this version"
        )
    channels, latent_channels = (
        _count(folder, told, key) for key in ("in_channels", "latent_channels")
    )
    config = {key: value for key, value in told.items() if not key.startswith("_")}
    return DiffusersFolder(
        folder, name, config, channels, latent_channels, factor=2 ** (len(levels) - 1)
    )


def _count(folder: Path, told: dict[str, Any], key: str) -> int:
    value = told.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 4096:
        raise ValueError(f"{folder / 'config.json'} says {key}: {value!r:.40}: copy it anew")
    return value


def _find(path: Path) -> Path:
    """The folder here; or, where DVC runs a stage in a copy of the project, in the project."""
    original = Path(os.environ.get("DVC_ROOT") or ".") / path
    return path if path.is_dir() or not original.is_dir() else original
