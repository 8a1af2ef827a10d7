"""What a training says of its duration before it starts."""

from pathlib import Path

from pipelines.forecast.duration import Costs, TrainingWork, about
from pipelines.settings.schema import Params

FEW_STEPS = 100
"""A training of fewer steps is not measured beforehand."""


def expected_costs(params: Params, root: Path, student: str | None = None) -> Costs | None:
    """Costs of an earlier measurement, or of one made now; None where neither can be had.

    student: name of the one that is trained; None: the denoiser.
    On a GPU the doctor alone measures, since this process would go on holding memory there.
    """
    from pipelines.forecast.kept import kept_costs, measured
    from pipelines.forecast.place import training_device

    settings = params.training_settings(student)
    if params.cluster.address or settings.total_steps < FEW_STEPS:
        return None
    kept = kept_costs(params, root, student)
    if kept is not None:
        return kept
    if training_device(params.cluster.use_gpu, params.cluster.fewest_workers).type != "cpu":
        return None
    try:
        return measured(params, root, student).costs
    except (ValueError, RuntimeError, OSError):  # training itself will say what is wrong
        return None


def expected_line(work: TrainingWork, folder: Path) -> str:
    """A line such as "about 7 minutes, of which 118 plays of the game take about 2 minutes".

    folder: of the run, which may have begun already.
    """
    if work.costs is None:
        return "the time left is told after the first seconds of steps"
    begun, total = newest_checkpoint(folder), work.total_nimg
    plays = work.plays(total) - work.plays(begun)
    line = f"{about(work.between(begun, total))}{' more' if begun else ''} on this machine"
    if plays:
        line += f", of which {plays} plays of the game take {about(plays * work.costs.play)}"
    return f"{line} (measured on a few steps)"


def newest_checkpoint(folder: Path) -> int:
    """Images seen at the newest checkpoint of the run in `folder`; 0 if there is none."""
    found = [path.stem.rpartition("-")[2] for path in folder.glob("checkpoints/checkpoint-*")]
    return max((int(number) for number in found if number.isdigit()), default=0)
