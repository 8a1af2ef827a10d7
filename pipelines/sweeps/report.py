"""Writes the files of what a sweep found: a table, two figures, the best params, a command."""

import csv
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foundation.atomic_files import write_bytes, write_text
from pipelines.reporting.figures import COLOURS, GRID, INK, MUTED, new_figure, png, style
from pipelines.settings.dotted_keys import experiment_command, with_values
from pipelines.settings.yaml_file import yaml_text
from pipelines.sweeps.domain import Domain
from pipelines.sweeps.objectives import reported_by_trials
from pipelines.sweeps.record import BROKEN, FINISHED, Record, Trial
from pipelines.sweeps.space import Sweep

MIN_FOR_IMPORTANCE = 4
FILES = (
    "trials.csv",
    "best_params.yaml",
    "command.txt",
    "parallel_coordinates.png",
    "importance.png",
)


def ranked(trials: Sequence[Trial], objective: str, mode: str) -> list[Trial]:
    """Trials, best first: those trained to their end by objective, then the others by images seen.

    Trials without a result come last. mode: min or max, of the objective.
    """
    sign = -1 if mode == "max" else 1

    def order(trial: Trial) -> tuple:
        value = trial.last(objective)
        finished = trial.status == FINISHED
        return (
            trial.status == BROKEN or value is None,
            not finished,
            0 if finished else -trial.nimg,
            sign * (value or 0.0),
            trial.number,
        )

    return sorted(trials, key=order)


@dataclass(frozen=True)
class Written:
    """What a report consists of."""

    files: list[Path]
    missing: dict[str, str]
    """Name of each file that could not be made -> why."""


def judged_first(record: Record) -> list[Trial]:
    """Trials that have a result and did not break, best first."""
    sweep = record.sweep
    trials = ranked(list(record.trials.values()), sweep.objective, sweep.mode)
    return [trial for trial in trials if trial.status != BROKEN and trial.rungs]


def write_report(sweep: Sweep, record: Record, out: Path) -> Written:
    """Write trials.csv, params and command of the best trial, and figures.

    Files of an earlier report are removed first, since this one may be unable to make them.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (out / name).unlink(missing_ok=True)
    trials = ranked(list(record.trials.values()), sweep.objective, sweep.mode)
    judged = judged_first(record)
    files = [out / "trials.csv"]
    write_text(files[0], trials_csv(sweep, trials))
    if not judged:
        return Written(files, dict.fromkeys(FILES[1:], "no trial was judged"))
    best = judged[0]
    files += [out / "best_params.yaml", out / "command.txt"]
    write_text(files[1], best_params(sweep, best))
    write_text(files[2], command(sweep, best) + "\n")
    files.append(out / "parallel_coordinates.png")
    write_bytes(files[-1], parallel_coordinates(sweep, judged, best))
    shares, why_not = importance(sweep, judged)
    if why_not:
        return Written(files, {"importance.png": why_not})
    files.append(out / "importance.png")
    write_bytes(files[-1], importance_chart(shares, sweep.objective))
    return Written(files, {})


def outcome(sweep: Sweep, trial: Trial) -> str:
    """A trial's metric at its last rung: "kid 0.0012", "density 0.93 (0.05 from its floor)"."""
    metric = sweep.config.metric
    if not trial.rungs:
        return f"no {metric}, since it was never judged"
    text = f"{metric} {as_text(trial.last(metric))}"
    if sweep.objective == metric:
        return text
    return f"{text} ({as_text(trial.last(sweep.objective))} from its floor)"


def command(sweep: Sweep, trial: Trial) -> str:
    """The `dvc exp run` command with a trial's values."""
    return experiment_command(sweep.raw, trial.values)


def best_params(sweep: Sweep, trial: Trial) -> str:
    """Text of params.yaml with the trial's values."""
    head = (
        f"# The best trial ({trial.number}) of the sweep {sweep.config.name!r}: "
        f"{outcome(sweep, trial)}.\n"
    )
    return head + yaml_text(with_values(sweep.raw, trial.values))


def trials_csv(sweep: Sweep, trials: Sequence[Trial]) -> str:
    """One row per trial: values, how it ended, and the metrics at its last rung."""
    stream = io.StringIO()
    reported = reported_by_trials()
    columns = ["trial", "status", "nimg", *reported, *sweep.domains, "fingerprint", "error"]
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        last = {k: v for k, v in (trial.rungs[-1] if trial.rungs else {}).items() if k in reported}
        row = {"trial": trial.number, "status": trial.status, "nimg": trial.nimg, **last}
        row |= {"fingerprint": trial.fingerprint, "error": trial.error}
        writer.writerow(row | {k: as_text(v) for k, v in trial.values.items()})
    return stream.getvalue()


def comparable(sweep: Sweep, trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
    """Each trial with its objective at the first rung, which all of them reached."""
    return [(trial, trial.rungs[0][sweep.objective]) for trial in trials]


def importance(sweep: Sweep, trials: Sequence[Trial]) -> tuple[dict[str, float], str]:
    """(share of the objective's variance at the first rung that each key explains, "") by fANOVA.

    ({}, why) if that cannot be said of these trials.
    """
    varying = sweep.varying
    points = comparable(sweep, trials)
    if len(points) < MIN_FOR_IMPORTANCE:
        return {}, f"it takes {MIN_FOR_IMPORTANCE} judged trials, there are {len(points)}"
    if len({value for _, value in points}) < 2:
        return {}, f"{sweep.objective} is the same in all trials at the first rung"
    if len(varying) == 1:
        return dict.fromkeys(varying, 1.0), ""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spaces = {key: domain.for_optuna() for key, domain in varying.items()}
    study = optuna.create_study(direction="minimize" if sweep.mode == "min" else "maximize")
    for trial, value in points:
        sampled = {key: domain.sample_of(trial.values[key]) for key, domain in varying.items()}
        if None not in sampled.values():
            study.add_trial(
                optuna.trial.create_trial(params=sampled, distributions=spaces, value=value)
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError) as error:  # all trials have the same values, say
            return {}, " ".join(str(error).split()) or "fANOVA finds no shares"
    return {key: float(found.get(key, 0.0)) for key in varying}, ""


def importance_chart(shares: dict[str, float], objective: str) -> bytes:
    """Bar chart of the shares as PNG, the most important key at the top."""
    names = sorted(shares, key=lambda key: shares[key])
    figure = new_figure((5.6, 1.3 + 0.4 * len(names)))
    axes = figure.subplots()
    style(axes, f"What decides {objective}")
    axes.grid(axis="y", visible=False)
    axes.barh(names, [shares[name] for name in names], color=COLOURS[0], height=0.6)
    for row, name in enumerate(names):
        axes.text(shares[name] + 0.01, row, f"{shares[name]:.0%}", va="center", color=INK)
    axes.set_xlim(0, 1.1)
    axes.set_xticks([])
    axes.set_xlabel("share of the variance at the first rung (fANOVA)")
    return png(figure)


def parallel_coordinates(sweep: Sweep, trials: Sequence[Trial], best: Trial) -> bytes:
    """PNG with a line per trial through its values to its objective, the best one bold."""
    from matplotlib import colormaps

    keys, objective = list(sweep.varying), sweep.objective
    values = np.array([t.last(objective) for t in trials], float)
    low, high = float(values.min()), float(values.max())
    span = high - low or 1.0
    figure = new_figure((1.7 * (len(keys) + 1) + 1.2, 3.9))
    axes = figure.subplots()
    style(axes, f"Trials of {sweep.config.name}")
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
    for trial, value in reversed(list(zip(trials, values, strict=True))):
        y = [position(sweep.varying[k], trial.values[k]) for k in keys] + [(value - low) / span]
        good = (value - low) / span if sweep.mode == "max" else (high - value) / span
        is_best, whole = trial is best, trial.status == FINISHED
        axes.plot(
            range(len(keys) + 1),
            y,
            color=COLOURS[1] if is_best else colormaps["viridis"](good),
            linewidth=3 if is_best else 1.6,
            alpha=1.0 if whole else 0.35,
            zorder=3 if is_best else 2,
        )
    for x, key in enumerate([*keys, objective]):
        axes.axvline(x, color=GRID, zorder=1)
        marks = (
            [(0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")]
            if x == len(keys)
            else [
                (position(sweep.varying[key], v), as_text(v)) for v in sweep.varying[key].extremes
            ]
        )
        for y_mark, text in marks:
            axes.text(x, y_mark, f" {text}", color=MUTED, fontsize=9, va="center", zorder=4)
    axes.set_xticks(range(len(keys) + 1), [*keys, objective], fontsize=9)
    axes.set_yticks([])
    axes.set_xlabel("bold: the best; pale: stopped early", fontsize=9)
    return png(figure)


def position(domain: Domain, value: Any) -> float:
    """Position of a value on its axis, 0 to 1, logarithmic for logarithmic ranges."""
    if domain.kind == "choice":
        return domain.values.index(value) / (len(domain.values) - 1)
    low, high = domain.values
    if domain.kind == "loguniform" or domain.log:
        return float(np.log(value / low) / np.log(high / low))
    return float((value - low) / (high - low))


def as_text(value: Any) -> str:
    """A value as tables and messages show it: numbers to four digits, others as JSON."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
