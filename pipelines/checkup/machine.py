"""What this training needs of this machine: time, and the precision that suits it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.checkup.run_so_far import finished, run_folder, trained_nimg
from pipelines.forecast.duration import TrainingWork, about, sampling_seconds
from pipelines.settings.schema import Params

if TYPE_CHECKING:
    from pipelines.forecast.measure import Measured


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
        f"{training}, images for {items} evaluations "
        f"{about(sampling_seconds(params, costs))}; reading images and judging come on top",
    )


def precision_line(params: Params) -> str:
    """Which precision this machine computes faster."""
    import torch

    from pipelines.forecast.kept import training_device
    from training.precision_speed import TOLERATED, bf16_slowdown

    chosen = params.train.precision
    if training_device(params.cluster.use_gpu, params.cluster.fewest_workers).type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return f"{chosen}; this GPU has bf16 units"
        return f"{chosen}; this GPU has no bf16 units and emulates them: fp32 is faster"
    times = bf16_slowdown()
    if times > TOLERATED:
        return f"{chosen}; bf16 is {_times(times)} times slower than fp32 on this processor"
    if times < 1 / TOLERATED:
        return f"{chosen}; bf16 is {_times(1 / times)} times faster than fp32 on this processor"
    return f"{chosen}; bf16 and fp32 are equally fast on this processor"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else about(seconds).removeprefix("about ")


def _times(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"
