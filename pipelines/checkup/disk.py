"""How much disk a run still takes, and whether there is as much."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from foundation.json_files import read_object
from pipelines.checkup.run_so_far import finished, published, run_folder
from pipelines.forecast.disk_use import free_bytes, run_bytes
from pipelines.settings.schema import Params
from pipelines.workspace.leftovers import size_of
from pipelines.workspace.paths import DATASET, EMA, LATENTS, STUDENTS, dvc_root, length_name

if TYPE_CHECKING:
    from pipelines.forecast.measure import Measured

LEAST_DISK_GB = 2.0
"""Free disk that Ray, MLflow and small outputs need in any case."""


def disk_needed(
    params: Params, found: "Measured | None", students: "Mapping[str, Measured] | None" = None
) -> float:
    """Bytes that a run of these params writes, as far as they are known and not there yet.

    found, students: what was measured of the denoiser's training, and of its students' by name.
    """
    needed = LEAST_DISK_GB * 1e9 + latent_bytes(params)
    if found is None:
        return needed
    settings, weights = params.run_settings(), found.parameter_bytes
    snapshots = run_bytes(settings, 0, weights)
    folder = run_folder(params)
    averages = [EMA / f"{length_name(length)}.safetensors" for length in params.ema.lengths]
    if folder is None or not finished(folder):
        whole = run_bytes(settings, found.checkpoint_bytes, weights)
        needed += max(0.0, whole - (size_of([folder]) if folder is not None else 0))
    elif published(folder):
        snapshots = 0
        averages = [path for path in averages if not path.exists()]
    needed += sum(_of_student(params, name, one) for name, one in (students or {}).items())
    # The snapshots that lie in .runs are copied to outputs/train.
    return needed + snapshots + len(averages) * found.parameter_bytes


def _of_student(params: Params, name: str, found: "Measured") -> float:
    """Bytes of a student's run, of its averages, and of the pairs that its teacher draws."""
    student, folder = params.students[name], run_folder(params, name)
    averages = [STUDENTS / name / f"{length_name(n)}.safetensors" for n in student.lengths]
    missing = sum(not path.exists() for path in averages) * found.parameter_bytes
    if folder is not None and finished(folder):
        return float(missing)
    settings = params.student_settings(name)
    pairs = student.pairs_needed * found.image_bytes
    whole = run_bytes(settings, found.checkpoint_bytes, found.parameter_bytes) + pairs
    return missing + max(0.0, whole - (size_of([folder]) if folder is not None else 0))


def latent_bytes(params: Params) -> float:
    """Bytes of the latents that are still to be encoded; 0 for pixels, and for unknown counts.

    Means and deviations of both mirror images in two bytes each.
    """
    config, written = params.autoencoder, LATENTS / "moments.npy"
    try:
        count = int(read_object(DATASET / "dataset.json")["num_images"])
    except (OSError, KeyError, TypeError, ValueError):
        return 0.0
    if config.kind == "none" or written.is_file():
        return 0.0
    side = config.latent_side(params.dataset.resolution)
    return float(count * 2 * 2 * config.latent_channels * side**2 * 2)


def disk_free() -> float:
    """Bytes that are free where runs are kept."""
    return float(free_bytes(dvc_root()))


def disk_problem(needed: float, free: float) -> str | None:
    """A line if the disk is too full for the run."""
    if free >= needed:
        return None
    return (
        f"disk: {free / 1e9:.1f} GB are free, and this run needs about {needed / 1e9:.1f} GB: "
        "make room (python -m pipelines.clean --dry-run lists what lies here)"
    )
