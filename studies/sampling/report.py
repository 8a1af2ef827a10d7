"""Tables and figure of the sampling study."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.reporting.figures import COLOURS, GRID, INK, MUTED
from sampling.grids.closed_form import CLOSED_FORM
from sampling.grids.table import time_grid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHOWN_STEPS = 8
SHOWN_GRIDS = (*CLOSED_FORM, "optimized")
PARTS = 8


def write_report(table: "pd.DataFrame", out: Path, grid_cache: Path) -> None:
    """Write sampling.md and sampling.png beside sampling.csv."""
    runs = table[table.solver != "real"]
    short = runs[runs.steps != 50]
    parts = ["# Solver x grid x NFE\n", _winners(short, "rmse"), _ranking(short)]
    if "kid" in table:
        parts += [_winners(short, "kid"), _against_long(table)]
    parts += [_matrix(short, subject, "rmse") for subject in short.subject.unique()]
    if "kid" in table:
        judged = short.dropna(subset=["kid"])
        for subject in judged.subject.unique():
            parts += [_matrix(judged, subject, "kid"), _matrix(judged, subject, "fd")]
    (out / "sampling.md").write_text("\n".join(parts))
    _figure(short, grid_cache).savefig(out / "sampling.png", dpi=110, bbox_inches="tight")


def _winners(runs: "pd.DataFrame", metric: str) -> str:
    """The best run of each subject and NFE."""
    lines = []
    runs = runs.dropna(subset=[metric])
    for subject in runs.subject.unique():
        row = [subject]
        for nfe in sorted(runs.nfe.unique()):
            here = runs[(runs.subject == subject) & (runs.nfe == nfe)]
            if here.empty:
                row.append("")
                continue
            best = here.loc[here[metric].idxmin()]
            row.append(f"{best.solver} {best.grid} {best[metric]:.3g}")
        lines.append(row)
    head = ["subject", *(f"NFE {nfe}" for nfe in sorted(runs.nfe.unique()))]
    return f"## Winners by {metric}\n\n" + _markdown(head, lines)


def _ranking(runs: "pd.DataFrame") -> str:
    """Geometric mean over subjects of a run's RMSE over the best one's: 1 is always the best."""
    best = runs.groupby(["subject", "nfe"]).rmse.transform("min")
    ratio = np.log(runs.rmse / best)
    scores = np.exp(ratio.groupby([runs.solver, runs.grid, runs.nfe]).mean()).unstack()
    scores["mean"] = np.exp(np.log(scores).mean(axis=1))
    scores = scores.sort_values("mean")
    lines = [
        [f"{solver} {grid}", *("" if np.isnan(value) else f"{value:.2f}" for value in row)]
        for (solver, grid), row in zip(scores.index, scores.to_numpy(), strict=True)
    ]
    head = ["solver grid", *(f"NFE {c}" if c != "mean" else "mean" for c in scores.columns)]
    text = "RMSE over that of the best run, geometric mean over subjects.\n\n"
    return "## Over all subjects\n\n" + text + _markdown(head, lines)


def _against_long(table: "pd.DataFrame") -> str:
    """KID at 8 evaluations beside the 50-step run and the floor."""
    parts = [f"kid_{number}" for number in range(1, PARTS + 1)]
    lines = []
    for subject in table.dropna(subset=["kid"]).subject.unique():
        here = table[table.subject == subject]
        floor, long = here[here.solver == "real"].iloc[0], here[here.steps == 50].iloc[0]
        lines.append(
            [subject, "real images (floor)", f"{floor.kid:.3e}", "", "", f"{floor.fd:.3g}"]
        )
        lines.append(
            [subject, "heun karras, 50 steps", f"{long.kid:.3e}", "", "", f"{long.fd:.3g}"]
        )
        for _, run in here[here.nfe == 8].sort_values("kid").head(8).iterrows():
            # Same noise, same real subsets: the differences of the parts are paired.
            change = (run[parts] - long[parts]).to_numpy(dtype=float)
            error = change.std(ddof=1) / PARTS**0.5
            excess = long.kid - floor.kid
            if abs(change.mean()) <= 2 * error:
                verdict = "indistinguishable"
            elif excess > 0:
                verdict = f"{change.mean() / excess:+.0%} of the distance to the floor"
            else:
                verdict = "the 50-step run is at the floor"
            lines.append(
                [
                    subject,
                    f"{run.solver} {run.grid}, 8 NFE",
                    f"{run.kid:.3e}",
                    f"{change.mean():+.1e} +- {error:.1e}",
                    verdict,
                    f"{run.fd:.3g}",
                ]
            )
    text = (
        "The best eight. The error of a difference comes from eighths of the images, which start "
        "from the same noise in both runs.\n\n"
    )
    head = ["subject", "run", "KID", "minus that of 50 steps", "verdict (2 errors)", "FD"]
    return "## Eight evaluations against fifty steps\n\n" + text + _markdown(head, lines)


def _matrix(runs: "pd.DataFrame", subject: str, metric: str) -> str:
    """All values of one subject: solver x grid down, NFE across, the best of a column in bold."""
    here = runs[runs.subject == subject]
    values = here.pivot_table(index=["solver", "grid"], columns="nfe", values=metric, sort=False)
    best = values.min()
    lines = []
    for (solver, grid), row in values.iterrows():
        cells = [solver, grid]
        for nfe, value in row.items():
            text = "" if np.isnan(value) else f"{value:.3g}"
            cells.append(f"**{text}**" if value == best[nfe] else text)
        lines.append(cells)
    head = ["solver", "grid", *(f"NFE {nfe}" for nfe in values.columns)]
    return f"## {subject}: {metric}\n\n" + _markdown(head, lines)


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _figure(runs: "pd.DataFrame", grid_cache: Path) -> "Figure":
    """RMSE over NFE: subjects down, solvers across, a line per grid; the grids themselves below."""
    from matplotlib.figure import Figure

    subjects, solvers = list(runs.subject.unique()), list(runs.solver.unique())
    grids = SHOWN_GRIDS
    figure = Figure(figsize=(3.0 * len(solvers), 2.5 * len(subjects) + 2.4), layout="constrained")
    layout = figure.add_gridspec(2, 1, height_ratios=[len(subjects), 1.0])
    upper, lower = figure.add_subfigure(layout[0]), figure.add_subfigure(layout[1])
    panels = upper.subplots(len(subjects), len(solvers), sharex=True, sharey="row", squeeze=False)
    for row, subject in enumerate(subjects):
        for column, solver in enumerate(solvers):
            axes = panels[row][column]
            for colour, grid in zip(COLOURS, grids, strict=False):
                line = runs[
                    (runs.subject == subject) & (runs.solver == solver) & (runs.grid == grid)
                ]
                axes.plot(line.nfe, line.rmse, color=colour, marker="o", ms=2.5, lw=1.2, label=grid)
            axes.set(xscale="log", yscale="log", ylim=(None, 1.0))  # beyond 1 nothing is left
            axes.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
            axes.minorticks_off()
            axes.grid(color=GRID, lw=0.6)
            axes.tick_params(labelsize=8, colors=MUTED)
            if row == 0:
                axes.set_title(solver, fontsize=10, color=INK)
            if column == 0:
                axes.set_ylabel(f"{subject}\nRMSE", fontsize=9, color=INK)
            if row == len(subjects) - 1:
                axes.set_xlabel("denoiser evaluations", fontsize=8, color=MUTED)
    axes = lower.subplots()
    for row, (colour, grid) in enumerate(zip(COLOURS, grids, strict=False)):
        sigmas = time_grid(grid, SHOWN_STEPS, 0.002, 80.0, cache_dir=grid_cache)[:-1]
        axes.plot(sigmas, np.full(len(sigmas), -row), "o-", color=colour, ms=4, lw=0.8)
    axes.set(xscale="log", xlabel=f"sigma of each evaluation, {SHOWN_STEPS} steps")
    axes.set_yticks([-row for row in range(len(grids))], grids)
    axes.invert_xaxis()
    axes.grid(axis="x", color=GRID, lw=0.6)
    axes.tick_params(labelsize=8, colors=INK)
    return figure
