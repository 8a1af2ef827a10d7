"""Writes the tables and figure of the structure study: arms, their control and the floor."""

import math
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from evaluation.metric_table import metric_entry, shown
from evaluation.paired_statistics import (
    Difference,
    difference_text,
    mean_and_deviation,
    paired_difference,
)
from foundation.number_names import number_name
from pipelines.reporting.figures import COLOURS, MUTED, new_figure, png, style
from studies.tables import markdown


def write_report(
    table: pd.DataFrame,
    seconds_per_kimg: dict[tuple[str, int], float],
    kimg: float,
    deployed: list[str],
    long: str,
    out: Path,
    snapshot_kimg: float,
) -> None:
    """Write structure.md and structure.png.

    table: one row per arm, seed, kimg, sampler and metric with value, floor, floor_std;
    snapshot_kimg: distance of the snapshots, of which a longer control takes a whole number.
    """
    origin = "one warm start" if (table.arm == "start").any() else "scratch"
    parts = [
        f"# The structure game: {kimg:g} kimg from {origin}\n",
        _cost(seconds_per_kimg, kimg, snapshot_kimg),
    ]
    for sampler in (*deployed, long):
        here = table[table.sampler == sampler]
        parts.append(f"## Sampler {sampler}\n")
        if sampler == long:
            parts.append("The adapter is off; an arm that trained one is its control there.\n")
        parts += [_values(here, kimg), _differences(here, kimg)]
    (out / "structure.md").write_text("\n".join(parts))
    _figure(table[table.sampler == deployed[0]], kimg, out / "structure.png")


def columns(table: pd.DataFrame, kimg: float) -> dict[str, pd.DataFrame]:
    """{column: its rows}: the start, the control, every arm, the longer control."""
    start = table[table.arm == "start"]
    out = {"start": start} if len(start) else {}  # none from scratch
    out["control"] = table[(table.arm == "control") & (table.kimg == kimg)]
    for arm in table.arm.unique():
        if arm not in ("start", "control"):
            out[arm] = table[(table.arm == arm) & (table.kimg == kimg)]
    longer = table[(table.arm == "control") & (table.kimg > kimg)]
    if len(longer):
        out[f"control, {number_name(longer.kimg.max())} kimg"] = longer
    return out


def by_seed(rows: pd.DataFrame, metric: str) -> dict[int, float]:
    """{seed: value} of one metric, for the seeds with a value."""
    chosen = rows[rows.metric == metric].dropna(subset=["value"])
    return dict(zip(chosen.seed, chosen.value, strict=True))


def closer(rows: pd.DataFrame, control: pd.DataFrame, metric: str) -> Difference | None:
    """Share of the control's distance from the floor that an arm removed, paired over seeds.

    1: the arm is at the floor; 0: as far from it as the control; negative: farther.
    """
    of_arm, of_control = by_seed(rows, metric), by_seed(control, metric)
    floor = float(control[control.metric == metric].floor.mean())
    shares = {
        seed: 1 - abs(of_arm[seed] - floor) / abs(of_control[seed] - floor)
        for seed in of_arm.keys() & of_control.keys()
        if of_control[seed] != floor
    }
    return paired_difference(dict.fromkeys(shares, 0.0), shares)


def _values(table: pd.DataFrame, kimg: float) -> str:
    parts = columns(table, kimg)
    head = ["metric", "floor (real)", *parts]
    lines = []
    for metric in shown("study"):
        if metric not in set(table.metric):
            continue
        entry = table[table.metric == metric].iloc[0]
        floor = "" if pd.isna(entry.floor) else f"{entry.floor:.4g}"
        if not pd.isna(entry.floor_std):
            floor += f" ± {entry.floor_std:.2g}"
        cells = []
        for rows in parts.values():
            values = list(by_seed(rows, metric).values())
            if not values:
                cells.append("")
                continue
            found = mean_and_deviation(values)
            said = f"{found.mean:.4g}" + (f" ± {found.sd:.2g}" if found.sd else "")
            cells.append(said + _unresolved(rows[rows.metric == metric]))
        lines.append([metric_entry(metric).title, floor, *cells])
    seeds = table[table.seed >= 0].groupby("arm").seed.nunique().to_dict()
    note = ", ".join(f"{arm} {count}" for arm, count in seeds.items())
    return markdown(head, lines) + f"\nMean ± standard deviation; seeds: {note}.\n"


def _unresolved(rows: pd.DataFrame) -> str:
    """A remark on how many values are not resolvable from their floor; "" if all are."""
    if "resolvable" not in rows:
        return ""
    count = int((rows.resolvable == False).sum())  # noqa: E712  (None: not said)
    return f" ({count} of {len(rows)} not resolvable)" if count else ""


def _differences(table: pd.DataFrame, kimg: float) -> str:
    parts = columns(table, kimg)
    controls = [name for name in parts if name.startswith("control")]
    arms = [name for name in parts if name not in ("start", *controls)]
    lines = []
    for arm in arms:
        for control in controls:
            for metric in shown("study"):
                gap = paired_difference(
                    by_seed(parts[control], metric), by_seed(parts[arm], metric)
                )
                if gap is None:
                    continue
                near = None
                if metric in shown("study figure"):
                    near = closer(parts[arm], parts[control], metric)
                title = metric_entry(metric).title
                lines.append([arm, control, title, difference_text(gap), _share(near)])
    if not lines:
        return ""
    head = ["arm", "minus", "metric", "paired difference [95%]", "closer to the floor by"]
    return markdown(head, lines) + "\n\\*: the interval leaves 0 out.\n"


def _share(found: Difference | None) -> str:
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.mean:.0%} (one seed)"
    return f"{found.mean:.0%} [{found.low:.0%}, {found.high:.0%}]"


def _cost(seconds_per_kimg: dict[tuple[str, int], float], kimg: float, snapshot_kimg: float) -> str:
    control = {seed: s for (arm, seed), s in seconds_per_kimg.items() if arm == "control"}
    lines = []
    for arm in dict.fromkeys(arm for arm, _ in seconds_per_kimg):
        ratios = [
            s / control[seed]
            for (name, seed), s in seconds_per_kimg.items()
            if name == arm and control.get(seed)
        ]
        if arm != "control" and ratios:
            equal = snapshot_kimg * math.ceil(kimg * median(ratios) / snapshot_kimg)
            lines.append(
                [
                    arm,
                    f"{median(ratios):.2f}",
                    f"{min(ratios):.2f} to {max(ratios):.2f}",
                    f"{equal:g}",
                ]
            )
    if not lines:
        return ""
    head = [
        "arm",
        "time per image over the control's (median)",
        "range over seeds",
        "equal wall-clock: --control-kimg",
    ]
    return markdown(head, lines)


def _figure(table: pd.DataFrame, kimg: float, path: Path) -> None:
    """Draw each seed's value with the deployed sampler, arms side by side, and the floor's band."""
    parts = columns(table, kimg)
    metrics = shown("study figure")
    figure = new_figure((4.2 * len(metrics), 3.8))
    for axes, metric in zip(figure.subplots(1, len(metrics)), metrics, strict=True):
        style(axes, metric_entry(metric).title)
        entry = table[table.metric == metric].iloc[0]
        if not pd.isna(entry.floor):
            reach = 0.0 if pd.isna(entry.floor_std) else 2 * entry.floor_std
            axes.axhspan(entry.floor - reach, entry.floor + reach, color=MUTED, alpha=0.25)
            axes.axhline(entry.floor, color=MUTED, linewidth=1, linestyle=":")
        for x, rows in enumerate(parts.values()):
            found = by_seed(rows, metric)
            colour = COLOURS[x % len(COLOURS)]
            axes.plot([x] * len(found), list(found.values()), "o", color=colour, alpha=0.6)
            axes.plot(x, np.mean(list(found.values())), "D", color=colour, markersize=8)
        titles = {"start": "warm start"}
        names = [titles.get(name, name).replace(", ", "\n") for name in parts]
        axes.set_xticks(range(len(names)), names, fontsize=8)
    figure.supxlabel(
        "dots: seeds (each a mean over draws of images); diamonds: their mean; dotted: real images "
        "against real ones, grey: two standard deviations of single draws",
        fontsize=9,
        color=MUTED,
    )
    path.write_bytes(png(figure))
