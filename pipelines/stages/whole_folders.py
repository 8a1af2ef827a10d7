"""Folders that stages have finished: a list of their files with hashes, looked at before each use.

DVC notices a file that has changed in its outputs, and makes it anew. A stage that is started by
itself, as `python -m pipelines.train`, would compute with one turned bit of an image or a feature
as if nothing were wrong.
"""

from collections.abc import Collection
from pathlib import Path

from pipelines.workspace.finished_run import AGAIN, read_hashes, write_hashes
from pipelines.workspace.paths import (
    ATTRIBUTES,
    AUTOENCODER,
    DATASET,
    EMA,
    EVALUATE,
    EVALUATE_STUDENTS,
    LATENTS,
    REFERENCE,
    STUDENTS,
    TRAIN,
    dvc_root,
)
from pipelines.workspace.stage_code import content_hash

LIST = ".files.json"
MADE_BY: dict[Path, str] = {
    DATASET: "prepare",
    AUTOENCODER: "autoencoder",
    LATENTS: "encode",
    REFERENCE: "reference",
    TRAIN: "train",
    EMA: "reconstruct",
    ATTRIBUTES: "attributes",
    EVALUATE: "evaluate",
    STUDENTS: "distil",
    EVALUATE_STUDENTS: "evaluate_students",
}
"""{folder: the stage that writes it, or the folders in it}."""


class DamagedResult(ValueError):
    """A stage's file is not what the stage wrote; the message says which, and how to mend it."""


def finish_folder(folder: Path) -> None:
    """Write the list of all files of a folder, with the hash of each, when all are there."""
    files = sorted(path for path in folder.rglob("[!.]*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    write_hashes(folder / LIST, {name: content_hash(folder / name) for name in names})


def check_whole(folder: Path, names: Collection[str] | None = None) -> None:
    """Compare the files of a folder with its list; one without a list, as older ones are, passes.

    names: files that matter; None: all. Raises DamagedResult, which names the first that is missing
    or differs.
    """
    for name, wanted in read_hashes(folder / LIST).items():
        path = folder / name
        if names is not None and name not in names:
            continue
        if not path.is_file():
            raise DamagedResult(f"{path} is missing: {_mend(folder)}")
        if content_hash(path) != wanted:
            raise DamagedResult(
                f"{path} is damaged, or was changed by hand: {_first(path)}{_mend(folder)}; if the "
                f"change was meant, remove {folder / LIST}"
            )


def check_weights_of(folder: Path, *names: str) -> None:
    """`check_whole` of the files of these weights alone. names: without their ending."""
    check_whole(folder, {f"{name}{end}" for name in names for end in (".safetensors", ".json")})


def _first(path: Path) -> str:
    """What comes before the mend of a damaged file that shares its content with DVC's cache.

    Without reflinks DVC links outputs into its cache. It trusts what it keeps there, and would put
    the damaged content in the place of what the stage makes again.
    """
    kept = path.resolve() if path.is_symlink() else None
    if kept is None and path.stat().st_nlink > 1:
        same = path.stat().st_ino, path.stat().st_dev
        files = (file for file in (dvc_root() / ".dvc/cache").rglob("*") if file.is_file())
        kept = next((f for f in files if (f.stat().st_ino, f.stat().st_dev) == same), None)
    return "" if kept is None else f"rm -f {kept}  frees DVC's cache of the same damage, then "


def _mend(folder: Path) -> str:
    made = [stage for place, stage in MADE_BY.items() if folder.is_relative_to(place)]
    if not made:
        return "make it again where it was made, or copy it anew"
    (stage,) = made
    return AGAIN if stage == "train" else f"dvc repro -f {stage}  makes it again"
