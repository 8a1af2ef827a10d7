"""The lines that a sweep prints before it starts and while it runs."""

from collections.abc import Iterator
from typing import Any

from evaluation.metric_table import metric_entry
from pipelines.settings.dotted_keys import known_keys
from pipelines.sweeps.pace import seconds_per_image, time_left
from pipelines.sweeps.record import BROKEN, Record, Trial
from pipelines.sweeps.report import as_text, outcome
from pipelines.sweeps.space import Sweep


def header(sweep: Sweep, record: Record) -> Iterator[str]:
    """What is about to be tried, how it is judged, and how long it may take."""
    config = sweep.config
    yield (
        f"{config.name}: {_trials(config.trials)}, {config.max_concurrent} at a time, searched by "
        f"{config.searcher}" + (f"; {_are(record.done())} over already" if record.done() else "")
    )
    present, width = known_keys(sweep.unchanged), max(map(len, sweep.domains))
    for key, domain in sweep.domains.items():
        yield f"  {key:<{width}}  {domain.words()}  (params.yaml: {as_text(present[key])})"
    if config.default_first and sweep.default_sample() is not None:
        yield "  the first trial keeps params.yaml's values of the keys that vary"
    ends = [*(sweep.rungs if config.scheduler == "asha" else ()), sweep.total_nimg]
    *early, last = (f"{nimg / 1000:g}" for nimg in ends)
    way = {"min": "the lowest wins", "max": "the highest wins"}[sweep.mode]
    if sweep.objective != config.metric:
        way = "the closer to its floor the better"
    yield (
        f"judged by {metric_entry(config.metric).title} of {config.evaluation.num_images} images "
        f"({way}) after {', '.join(early)}{' and ' if early else ''}{last} kimg"
    )
    if early:
        yield (
            f"a trial goes on from a rung if it is in the best 1/{config.reduction:g} of those "
            "that reached it; the others stop there"
        )
    yield f"time: {expected(sweep, record, config.max_concurrent)}"


def expected(sweep: Sweep, record: Record, at_a_time: int) -> str:
    """Words on how long the trials that are not over take."""
    trials = list(record.trials.values())
    left, each = time_left(sweep, trials, at_a_time), seconds_per_image(trials)
    if left and each is not None:
        return f"{left}, at {1000 * each:.3g} s for 1,000 images of a trial, as measured"
    return "told as soon as the first trial has been judged"


def outside_line(sweep: Sweep) -> str:
    """Which of params.yaml's values keep the first trial from having all of them."""
    present = known_keys(sweep.base)
    said = [
        f"{key} {as_text(present[key])} is not in {domain.words()}"
        for key, domain in sweep.varying.items()
        if domain.sample_of(present[key]) is None
    ]
    return (
        "no trial has params.yaml's own values of the keys that vary, since the space leaves "
        f"{'one' if len(said) == 1 else 'some'} out: {'; '.join(said)}"
    )


def short_names(sweep: Sweep) -> dict[str, str]:
    """{key that varies: its last part}; keys that end alike are written out."""
    last = [key.rpartition(".")[2] for key in sweep.varying]
    return {
        key: name if last.count(name) == 1 else key
        for key, name in zip(sweep.varying, last, strict=True)
    }


def values_text(sweep: Sweep, values: dict[str, Any]) -> str:
    """What varies, briefly: "lr 0.01554, channels 32"."""
    names = short_names(sweep)
    return ", ".join(f"{name} {as_text(values[key])}" for key, name in names.items())


def begun_line(sweep: Sweep, trial: Trial) -> str:
    """ "trial 0 (lr 0.01, channels 32) begins"."""
    again = f" again, after {trial.nimg / 1000:g} kimg" if trial.nimg else ""
    return f"{_name(sweep, trial)} begins{again}"


def rung_line(sweep: Sweep, trial: Trial) -> str:
    """ "trial 0 (lr 0.01, channels 32): kid 5.131 after 2.048 kimg"."""
    return f"{_name(sweep, trial)}: {outcome(sweep, trial)} after {trial.nimg / 1000:g} kimg"


def ended_line(sweep: Sweep, trial: Trial, record: Record, at_a_time: int) -> str:
    """How a trial ended, how many are over, and how long the others may take."""
    why = f": {trial.error}" if trial.status == BROKEN else ""
    left = time_left(sweep, list(record.trials.values()), at_a_time)
    over = f"{record.done()} of {sweep.config.trials} trials over{f', {left}' if left else ''}"
    return f"{_name(sweep, trial)}: {trial.status}{why} ({over})"


def stopping_line(record: Record) -> str:
    """The answer to Ctrl-C."""
    running, asked = record.running(), record.sweep.config.trials
    goes = "goes on from its last checkpoint" if running == 1 else "go on from their checkpoints"
    open_ones = f"; the {running} that ran {goes} when the same command is given again"
    return (
        f"stopping: {record.done()} of {asked} trials are over and kept"
        f"{open_ones if running else ''}"
    )


def _name(sweep: Sweep, trial: Trial) -> str:
    return f"trial {trial.number} ({values_text(sweep, trial.values)})"


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"
