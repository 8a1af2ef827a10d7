"""How far the trainings of these params have come already, by .runs and outputs/train."""

from pathlib import Path

from pipelines.settings.schema import Params
from pipelines.workspace.fingerprint import training_identity
from pipelines.workspace.finished_run import SUMMARY
from pipelines.workspace.paths import TRAIN, dvc_root


def run_folder(params: Params, student: str | None = None) -> Path | None:
    """The folder in .runs of the training of these params; None before there is one.

    student: name of the one that is trained; None: the denoiser.
    """
    try:
        folder = training_identity(params, student).folder(dvc_root())
    except ValueError:  # a file that params name is missing or damaged: another line says so
        return None
    return folder if folder.is_dir() else None


def published(folder: Path) -> bool:
    """Whether outputs/train holds the results of the finished run in this folder."""
    try:
        return (TRAIN / SUMMARY).read_bytes() == (folder / SUMMARY).read_bytes()
    except OSError:
        return False


def finished(folder: Path) -> bool:
    """Whether the run in this folder has been trained to its end."""
    return (folder / SUMMARY).is_file()


def trained_nimg(folder: Path | None) -> int:
    """Images after which the last checkpoint in the run's folder was written; 0 without one."""
    names = [] if folder is None else (folder / "checkpoints").glob("checkpoint-*.safetensors")
    numbers = [path.stem.partition("-")[2] for path in names]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def teacher_note(params: Params) -> str | None:
    """A line where outputs/ holds another denoiser than that of params.yaml; else None."""
    folder = run_folder(params)
    if folder is not None and finished(folder) and published(folder):
        return None
    return (
        "outputs/ema holds the denoiser of other params, data or code than these: the trials are "
        "its students all the same; dvc repro reconstruct  makes that of params.yaml"
    )
