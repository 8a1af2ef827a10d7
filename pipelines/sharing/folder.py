"""Writes one EMA length of a finished run as a folder that can be shared."""

from collections.abc import Mapping
from pathlib import Path

from foundation.atomic_files import copy_whole, make_folder, write_text
from models.weights import check_weights, copy_weights
from models.weights_folder import DENOISER
from pipelines.sharing.companions import Companions

CARD, PICTURE = "README.md", "samples.png"


def check_new(folder: Path) -> None:
    """Raise ValueError unless `folder` is new or empty: a filled-in card is never overwritten."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"--out {folder} holds files: name a new folder, or remove this one")


def write_folder(
    folder: Path,
    weights: Path,
    companions: Companions,
    picture: Path,
    card: str,
    files: Mapping[str, str],
) -> None:
    """Write weights with their companions, picture, card and further text files, the card last.

    files: name inside the folder -> text. Raises WeightsError where the weights or their copy are
    damaged.
    """
    description = companions.described(check_weights(weights))
    make_folder((folder / DENOISER).parent)
    copy_weights(weights, folder / DENOISER, description)
    companions.copy_to(folder)
    copy_whole(picture, folder / PICTURE)
    for name, text in files.items():
        write_text(folder / name, text)
    write_text(folder / CARD, card)


def size_of(folder: Path) -> str:
    """The size of all files of a folder, such as "3.1 MB"."""
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{total / 1e6:.1f} MB"
