"""What this training needs of this machine: time, and the precision that suits it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.checkup.run_so_far import finished, run_folder, trained_nimg
from pipelines.forecast.duration import (
    Costs,
    TrainingWork,
    about,
    judged_samplers,
    pairs_seconds,
    sampling_seconds,
)
from pipelines.settings.schema import Params
from pipelines.workspace.paths import DATASET

if TYPE_CHECKING:
    from pipelines.forecast.measure import Measured

MEND = {"bf16": ": set train.precision to fp32", "fp32": ""}
"""What to do where bf16 is the slower one, by train.precision."""


def speed_lines(
    params: Params, found: "Measured", students: "Mapping[str, Measured] | None" = None
) -> Iterator[tuple[str, str]]:
    """(heading, text) of the speed, and of the time for training and for sampling.

    students: {name: what was measured of its training}.
    """
    from pipelines.forecast.place import training_device

    costs, settings = found.costs, params.run_settings()
    work = TrainingWork(settings, costs)
    device = training_device(params.cluster.use_gpu, params.cluster.fewest_workers).type
    where = "GPU" if device == "cuda" else "processors"
    game = f", {_seconds(costs.step + costs.play)} with a play" if costs.play else ""
    yield (
        "speed",
        f"a step of {settings.train.batch_size} images takes {_seconds(costs.step)}{game} "
        f"({where}, {settings.train.precision})",
    )
    training, items = _training(work, run_folder(params)), len(judged_samplers(params))
    yield (
        "time",
        f"{training}, images for {items} evaluations {about(sampling_seconds(params, costs))}",
    )
    for name, of_student in (students or {}).items():
        yield "time", student_line(params, name, of_student.costs)
    yield "time", f"{_judging(params)}; reading images and starting each stage come on top"


def student_line(params: Params, name: str, costs: Costs) -> str:
    """How long a student's training takes, and its teacher's pairs before it."""
    settings, student = params.student_settings(name), params.students[name]
    folder = run_folder(params, name)
    critic = ", its critic's included" if student.kind == "distribution_matching" else ""
    line = (
        f"{name}: {_training(TrainingWork(settings, costs), folder)} (a step of "
        f"{settings.train.batch_size} images takes {_seconds(costs.step)} on average{critic})"
    )
    if student.pairs_needed and (folder is None or not finished(folder)):
        took = about(pairs_seconds(settings, costs))
        line += f"; its teacher's {student.pairs_needed:,} pairs {took}, if none are kept"
    return line


def _training(work: TrainingWork, folder: Path | None) -> str:
    """Words for what of a training is left. folder: of its run, if that has begun."""
    if folder is not None and finished(folder):
        return "the training is done"
    if nimg := trained_nimg(folder):
        left = work.between(min(nimg, work.total_nimg), work.total_nimg)
        return f"training {about(left)} from {nimg / 1000:g} kimg on, where it stopped"
    return f"training {about(work.until(work.total_nimg))}"


def _judging(params: Params) -> str:
    """Words for the time that judging takes."""
    from pipelines.forecast.judging import measure_judging
    from pipelines.forecast.place import prepared_or_none

    items, config = len(judged_samplers(params)), params.evaluation
    try:
        found = measure_judging(params, prepared_or_none(DATASET, params.dataset.resolution))
    except ValueError as error:
        return f"judging {items} items was not measured ({error})"
    n = f"{found.n} on either side" if found.known else f"at most {found.n} on either side"
    return (
        f"judging {items} items of {config.num_images} images ({config.floor_draws} draws of {n}) "
        f"{'' if found.known else 'at most '}{about(found.seconds)}, roughly"
    )


def precision_line(params: Params) -> str:
    """Which precision this machine computes faster, and the mend if the chosen one is slower."""
    import torch

    from pipelines.forecast.place import training_device
    from training.precision_speed import TOLERATED, bf16_slowdown, compared

    chosen = params.train.precision
    if training_device(params.cluster.use_gpu, params.cluster.fewest_workers).type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return f"{chosen}; this GPU has bf16 units"
        return f"{chosen}; this GPU has no bf16 units and emulates them{MEND[chosen]}"
    times = bf16_slowdown()
    return f"{chosen}; {compared(times)}{MEND[chosen] if times > TOLERATED else ''}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else about(seconds).removeprefix("about ")
