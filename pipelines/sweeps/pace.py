"""How long a sweep still takes, by what its trials have taken so far."""

from collections.abc import Sequence

from foundation.durations import duration
from pipelines.sweeps.record import OPEN, Trial
from pipelines.sweeps.space import Sweep


def seconds_per_image(trials: Sequence[Trial]) -> float | None:
    """Seconds that one trial takes for an image, judging included; None if none was timed."""
    images = sum(trial.timed_images for trial in trials)
    return sum(trial.timed_seconds for trial in trials) / images if images else None


def images_left(sweep: Sweep, trials: Sequence[Trial]) -> tuple[list[int], list[int]]:
    """Images that each trial which is not over still sees: (at least, at most).

    With ASHA a trial may stop at the first rung; otherwise each goes to its end.
    """
    first = sweep.rungs[0] if sweep.config.scheduler == "asha" else sweep.total_nimg
    begun = [trial.nimg for trial in trials if trial.status == OPEN]
    seen = begun + [0] * (sweep.config.trials - len(trials))
    ends = [sweep.total_nimg] * len(seen)
    return (
        [max(0, min(first, end) - nimg) for nimg, end in zip(seen, ends, strict=True)],
        [max(0, end - nimg) for nimg, end in zip(seen, ends, strict=True)],
    )


def time_left(sweep: Sweep, trials: Sequence[Trial], at_a_time: int) -> str:
    """ "0:20 to 1:10 left"; "" while no trial has been timed, or all are over."""
    each = seconds_per_image(trials)
    least, most = images_left(sweep, trials)
    if each is None or not most:
        return ""
    low, high = (
        duration(each * max(sum(images) / at_a_time, max(images))) for images in (least, most)
    )
    if low == high:
        return f"about {high} left"
    return f"{low} to {high} left" if max(least) else f"at most {high} left"
