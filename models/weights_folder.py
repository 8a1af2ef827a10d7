"""A folder given in the place of a weights file: an exported one is its denoiser's file."""

from pathlib import Path

from models.weights import WeightsError, load_description

DENOISER = Path("denoiser/denoiser.safetensors")
"""Where a folder that `python -m pipelines.export` writes holds its weights."""
_LISTED = 12


def weights_file(path: str | Path) -> Path:
    """The .safetensors file that `path` means: itself, or the denoiser's in an exported folder.

    Whether a file exists is not checked here. Raises WeightsError, which names what lies in it, for
    any other folder.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for inside in (path / DENOISER, path / DENOISER.name):
        if inside.is_file():
            return inside
    names = [file.name for file in files_of(path)]
    if not names:
        raise WeightsError(
            f"{path} is a folder without weights: name a .safetensors file, or a folder that "
            "python -m pipelines.export wrote"
        )
    shown = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    raise WeightsError(
        f"{path} is a folder of {len(names)} weights file{'s' * (len(names) > 1)}: name one of "
        f"them, such as {path / names[0]} (there are {shown})"
    )


def chosen_weights(path: Path | None, folder: Path) -> Path:
    """The file that `path` means; None: the only one of an EMA length in `folder`.

    Raises WeightsError where that leaves a choice, or none.
    """
    if path is not None:
        return weights_file(path)
    files = files_of(folder)
    if len(files) == 1:
        return files[0]
    if not files:
        raise WeightsError(f"{folder} holds no weights: name a .safetensors file")
    raise WeightsError(
        f"{folder} holds {len(files)} weights files: name one of them, such as {files[0]}"
    )


def files_of(folder: str | Path) -> list[Path]:
    """The .safetensors files of a folder; those named by numbers, as EMA lengths are, by size."""
    return sorted(Path(folder).glob("*.safetensors"), key=_order)


def files_by_length(path: Path) -> list[tuple[float, Path]]:
    """(EMA length, file) of all weights in the folder `path`, or in that of the file `path`.

    Raises WeightsError where fewer than two say of which length they are.
    """
    folder = path if path.is_dir() else path.parent
    found = []
    for file in files_of(folder):
        try:
            length = load_description(file).get("sigma_rel")
        except WeightsError:
            continue  # another kind of file; loading a damaged one of a length would say so
        if isinstance(length, float | int):
            found.append((float(length), file))
    if len(found) < 2:
        raise WeightsError(
            f"--lengths compares the EMA lengths of one run, and {folder} holds {len(found)}: name "
            "a folder such as outputs/ema"
        )
    return sorted(found)


def _order(path: Path) -> tuple[float, str]:
    try:
        return float(path.stem), path.name
    except ValueError:
        return float("inf"), path.name
