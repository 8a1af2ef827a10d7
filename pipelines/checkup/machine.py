"""What this training needs of this machine: time, and the precision that suits it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.checkup.run_so_far import finished, run_folder, trained_nimg
from pipelines.forecast.duration import TrainingWork, about, sampling_seconds
from pipelines.settings.schema import Params
from pipelines.workspace.paths import DATASET

if TYPE_CHECKING:
    from pipelines.forecast.measure import Measured

MEND = {"bf16": ": set train.precision to fp32", "fp32": ""}
"""What to do where bf16 is the slower one, by train.precision."""


def speed_lines(params: Params, found: "Measured") -> Iterator[tuple[str, str]]:
    """(heading, text) of the speed, and of the time for training and for sampling."""
    from pipelines.forecast.kept import training_device

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
    folder = run_folder(params)
    if folder is not None and finished(folder):
        training = "the training is done"
    elif nimg := trained_nimg(folder):
        left = work.between(min(nimg, work.total_nimg), work.total_nimg)
        training = f"training {about(left)} from {nimg / 1000:g} kimg on, where it stopped"
    else:
        training = f"training {about(work.until(work.total_nimg))}"
    items = len(params.ema.lengths) * len(params.samplers)
    yield (
        "time",
        f"{training}, images for {items} evaluations {about(sampling_seconds(params, costs))}",
    )
    yield "time", f"{_judging(params)}; reading images and starting each stage come on top"


def _judging(params: Params) -> str:
    """Words for the time that judging takes."""
    from pipelines.forecast.judging import measure_judging
    from pipelines.forecast.measure import prepared_or_none

    items, config = len(params.ema.lengths) * len(params.samplers), params.evaluation
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

    from pipelines.forecast.kept import training_device
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
