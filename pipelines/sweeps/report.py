"""Writes what a sweep found: a table, two figures, the best params and the command for them."""

import csv
import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from evaluation.metric_table import reported_by_trials
from foundation.atomic_files import write_text
from pipelines.reporting.figures import COLOURS, GRID, INK, MUTED, new_figure, png, style
from pipelines.settings.dotted_keys import experiment_command, with_values
from pipelines.settings.yaml_file import yaml_text
from pipelines.sweeps.domain import Domain
from pipelines.sweeps.record import BROKEN, FINISHED, Record, Trial
from pipelines.sweeps.space import Sweep
from pipelines.tracking.live_run import StageRun

MIN_FOR_IMPORTANCE = 4


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


def write_report(sweep: Sweep, record: Record, out: Path) -> list[Path]:
    """Write trials.csv, params and command of the best trial, and figures; returns the files."""
    out.mkdir(parents=True, exist_ok=True)
    trials = ranked(list(record.trials.values()), sweep.objective, sweep.mode)
    judged = [t for t in trials if t.status != BROKEN and t.rungs]
    files = [out / "trials.csv"]
    write_text(files[0], trials_csv(sweep, trials))
    if not judged:
        return files
    best = judged[0]
    files += [out / "best_params.yaml", out / "command.txt"]
    write_text(files[1], best_params(sweep, best))
    write_text(files[2], command(sweep, best) + "\n")
    files.append(out / "parallel_coordinates.png")
    files[-1].write_bytes(parallel_coordinates(sweep, judged, best))
    shares = importance(sweep, judged)
    if shares:
        files.append(out / "importance.png")
        files[-1].write_bytes(importance_chart(shares, sweep.objective))
    return files


def announce(sweep: Sweep, record: Record, out: Path, run: StageRun) -> None:
    """Print the table and the winner; the winner's numbers go to the sweep's run."""
    console = Console()
    trials = ranked(list(record.trials.values()), sweep.objective, sweep.mode)
    console.print(table(sweep, trials))
    spent, full = images_spent(sweep, trials)
    console.print(
        f"images trained: {spent / 1000:g} of the {full / 1000:g} kimg of all trials "
        f"at full length ({spent / full:.0%})",
        soft_wrap=True,
    )
    judged = [t for t in trials if t.status != BROKEN and t.rungs]
    if not judged:
        raise RuntimeError(f"no trial came to an end: {trials[0].error if trials else 'none ran'}")
    best, line = judged[0], command(sweep, judged[0])
    for text in (
        f"best: trial {best.number}, {outcome(sweep, best)}" + against_default(sweep, trials, best),
        f"params: {out / 'best_params.yaml'}   figures: {out}/",
        f"run it: {line}",
    ):
        console.print(text, soft_wrap=True, highlight=False, markup=False)
    reported = reported_by_trials()
    run.log_metrics({f"best/{k}": v for k, v in best.rungs[-1].items() if k in reported})
    run.log_metrics({"kimg_spent": spent / 1000, "kimg_full": full / 1000})
    run.set_tags({"best.trial": best.number, "mlflow.note.content": f"Best:\n\n    {line}\n"})


def images_spent(sweep: Sweep, trials: Sequence[Trial]) -> tuple[int, int]:
    """(images that the trials saw, images if all had been trained to their end)."""
    full = sum(sweep.params(t.values).run_settings().total_nimg for t in trials)
    return sum(t.nimg for t in trials), full


def against_default(sweep: Sweep, trials: Sequence[Trial], best: Trial) -> str:
    """Words on what the unchanged params.yaml reached; "" if it was not among the trials."""
    sample = sweep.default_sample()
    if sample is None:
        return ""
    values = sweep.values(sample)
    for trial in trials:
        if trial.values == values and trial.rungs:
            if trial is best:
                return ", which is params.yaml as it is"
            reached = outcome(sweep, trial)
            return f" (params.yaml as it is: {reached} at {trial.nimg / 1000:g} kimg)"
    return ""


def outcome(sweep: Sweep, trial: Trial) -> str:
    """A trial's metric at its last rung: "kid 0.0012", "density 0.93 (0.05 from its floor)"."""
    metric = sweep.config.metric
    text = f"{metric} {_text(trial.last(metric))}"
    if sweep.objective == metric:
        return text
    return f"{text} ({_text(trial.last(sweep.objective))} from its floor)"


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


def table(sweep: Sweep, trials: Sequence[Trial]) -> Table:
    """Table of all trials, given best first."""
    out = Table(
        title=f"sweep {sweep.config.name}, best first",
        title_justify="left",
        box=None,
        header_style="bold",
    )
    out.add_column("trial", justify="right")
    numbers = {sweep.config.metric: sweep.config.metric}
    if sweep.objective != sweep.config.metric:
        numbers[sweep.objective] = "from its floor"
    for title in (*numbers.values(), "kimg"):
        out.add_column(title, justify="right")
    for key in sweep.varying:
        out.add_column(key, justify="right", overflow="fold")
    out.add_column("")
    for trial in trials:
        reached = [trial.last(name) for name in numbers]
        cells = [
            str(trial.number),
            *("" if value is None else _text(value) for value in reached),
            f"{trial.nimg / 1000:g}",
            *(_text(trial.values[key]) for key in sweep.varying),
        ]
        out.add_row(*cells, trial.error[:80] if trial.status == BROKEN else trial.status)
    return out


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
        writer.writerow(row | {k: _text(v) for k, v in trial.values.items()})
    return stream.getvalue()


def comparable(sweep: Sweep, trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
    """Each trial with its objective at the first rung, which all of them reached."""
    return [(trial, trial.rungs[0][sweep.objective]) for trial in trials]


def importance(sweep: Sweep, trials: Sequence[Trial]) -> dict[str, float]:
    """Share of the objective's variance at the first rung that each key explains (fANOVA).

    {} if there are fewer than MIN_FOR_IMPORTANCE trials or the objective is the same in all.
    """
    varying = sweep.varying
    points = comparable(sweep, trials)
    if len(points) < MIN_FOR_IMPORTANCE or len({value for _, value in points}) < 2:
        return {}
    if len(varying) == 1:
        return dict.fromkeys(varying, 1.0)
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
        except (ValueError, RuntimeError):  # all trials have the same values
            return {}
    return {key: float(found.get(key, 0.0)) for key in varying}


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
            else [(position(sweep.varying[key], v), _text(v)) for v in sweep.varying[key].extremes]
        )
        for y_mark, text in marks:
            axes.text(x, y_mark, f" {text[:18]}", color=MUTED, fontsize=9, va="center", zorder=4)
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


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
