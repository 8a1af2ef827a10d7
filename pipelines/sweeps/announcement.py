"""What a sweep prints at its end: the table of its trials, the best one, how to use it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from pipelines.console.terminal import terminal
from pipelines.settings.dotted_keys import known_keys
from pipelines.settings.yaml_file import DEFAULT_PATH
from pipelines.sweeps.lines import short_names
from pipelines.sweeps.objectives import reported_by_trials
from pipelines.sweeps.record import BROKEN, Record, Trial
from pipelines.sweeps.report import (
    Written,
    as_text,
    command,
    judged_first,
    outcome,
    ranked,
)
from pipelines.sweeps.space import Sweep
from pipelines.tracking.live_run import StageRun


def announce(sweep: Sweep, record: Record, out: Path, written: Written, run: StageRun) -> None:
    """Print the table and the winner; the winner's numbers go to the sweep's run.

    out: folder of the report. Raises RuntimeError if no trial has a result.
    """
    console = terminal()
    trials = ranked(list(record.trials.values()), sweep.objective, sweep.mode)
    console.print(table(sweep, trials))

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False)

    for trial in trials:
        if trial.status == BROKEN:
            say(f"trial {trial.number} broke: {trial.error}")
    spent, full = images_spent(sweep, trials)
    if trials:
        say(
            f"images trained: {spent / 1000:g} of the {full / 1000:g} kimg of all trials "
            f"at full length ({spent / full:.0%})"
        )
    judged = judged_first(record)
    if not judged:
        raise RuntimeError(f"no trial came to an end: {trials[0].error if trials else 'none ran'}")
    best = judged[0]
    say(f"best: trial {best.number}, {outcome(sweep, best)}" + against_default(sweep, trials, best))
    if all_equal(judged, sweep.objective):
        say(
            f"all {len(judged)} trials have the same {sweep.objective} at the first rung: what "
            "varied changed nothing that was measured, so this trial is no better than the others"
        )
    for line in difference(sweep, best):
        say(line)
    figures = ", ".join(path.name for path in written.files if path.suffix == ".png")
    say(f"figures in {out}/: {figures}")
    for name, why in written.missing.items():
        say(f"{name} is not there: {why}")
    line = command(sweep, best)
    say("try it through the whole pipeline, with params.yaml changed by DVC:")
    say(f"  {line}")
    say("or put it in place of params.yaml, without the comments in there:")
    say(f"  cp {out / 'best_params.yaml'} {DEFAULT_PATH}")
    reported = reported_by_trials()
    run.log_metrics({f"best/{k}": v for k, v in best.rungs[-1].items() if k in reported})
    run.log_metrics({"kimg_spent": spent / 1000, "kimg_full": full / 1000})
    run.set_tags({"best.trial": best.number, "mlflow.note.content": f"Best:\n\n    {line}\n"})


def all_equal(judged: Sequence[Trial], objective: str) -> bool:
    """Whether several trials of different values were judged alike in every digit."""
    reached = {trial.rungs[0][objective] for trial in judged}
    return len(reached) == 1 and any(trial.values != judged[0].values for trial in judged)


def difference(sweep: Sweep, best: Trial) -> list[str]:
    """Lines on what the best trial's params have other than params.yaml."""
    present = known_keys(sweep.unchanged)
    changed = {key: value for key, value in best.values.items() if present[key] != value}
    if not changed:
        return ["it differs in nothing from params.yaml"]
    width = max(map(len, changed))
    return ["it differs from params.yaml in:"] + [
        f"  {key:<{width}}  {as_text(present[key])} -> {as_text(value)}"
        + ("" if key in sweep.varying else "  (in all trials)")
        for key, value in changed.items()
    ]


def images_spent(sweep: Sweep, trials: Sequence[Trial]) -> tuple[int, int]:
    """(images that the trials saw, images if all had been trained to their end)."""
    full = sum(sweep.settings(sweep.params(t.values)).total_nimg for t in trials)
    return sum(t.nimg for t in trials), full


def against_default(sweep: Sweep, trials: Sequence[Trial], best: Trial) -> str:
    """Words on what params.yaml's values of the keys that vary reached; "" if no trial had them."""
    sample = sweep.default_sample()
    if sample is None:
        return ""
    values = sweep.values(sample)
    for trial in trials:
        if trial.values == values and trial.rungs:
            if trial is best:
                return ", which has params.yaml's own values of the keys that vary"
            reached = outcome(sweep, trial)
            own = "params.yaml's own values of the keys that vary"
            return f" ({own}: {reached} after {trial.nimg / 1000:g} kimg)"
    return ""


def table(sweep: Sweep, trials: Sequence[Trial]) -> Table:
    """Table of all trials, given as `ranked` orders them; wide ones fold, and nothing is cut."""
    whole = len({trial.status for trial in trials}) < 2
    order = "best first" if whole else "best first of those that reached their end, then the others"
    out = Table(
        title=f"sweep {sweep.config.name}: {order}",
        title_justify="left",
        box=None,
        header_style="bold",
    )
    numbers = {sweep.config.metric: sweep.config.metric}
    if sweep.objective != sweep.config.metric:
        numbers[sweep.objective] = "from its floor"
    for title in ("trial", *numbers.values(), "kimg", *short_names(sweep).values()):
        out.add_column(title, justify="right", overflow="fold")
    out.add_column("", overflow="fold")
    for trial in trials:
        reached: list[Any] = [trial.last(name) for name in numbers]
        out.add_row(
            str(trial.number),
            *("-" if value is None else as_text(value) for value in reached),
            f"{trial.nimg / 1000:g}",
            *(as_text(trial.values[key]) for key in sweep.varying),
            trial.status,
        )
    return out
