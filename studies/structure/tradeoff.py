"""Draws what the deployed sampler gains and the long one loses, a curve over training per arm."""

from pathlib import Path

import pandas as pd

from evaluation.metric_table import metric_entry, shown
from pipelines.reporting.figures import COLOURS, MUTED, new_figure, png, style


def tradeoff_points(
    table: pd.DataFrame, arm: str, metric: str, deployed: str, long: str, kimg: float
) -> pd.DataFrame:
    """Mean over seeds at each time: columns kimg, long, deployed.

    An arm that trained an adapter is not judged with the long sampler: with the adapter off it
    equals its control bit by bit, so the control's values are used. Times beyond kimg, which only a
    longer control has, are left out.
    """
    chosen = table[(table.metric == metric) & (table.kimg <= kimg)]
    own = chosen[chosen.arm == arm]
    of_long = own[own.sampler == long]
    if of_long.empty:
        seeds = set(own.seed)
        of_long = chosen[
            (chosen.arm == "control") & (chosen.sampler == long) & chosen.seed.isin(seeds)
        ]
    means = {
        "long": of_long.groupby("kimg").value.mean(),
        "deployed": own[own.sampler == deployed].groupby("kimg").value.mean(),
    }
    points = pd.DataFrame(means).dropna()
    start = chosen[chosen.arm == "start"].set_index("sampler").value
    if {long, deployed} <= set(start.index):
        points.loc[0.0] = [start[long], start[deployed]]
    return points.sort_index().rename_axis("kimg").reset_index()


def draw_tradeoff(table: pd.DataFrame, kimg: float, deployed: str, long: str, out: Path) -> None:
    """Write tradeoff.png: for each metric, the deployed sampler's value over the long one's."""
    arms = [arm for arm in table.arm.unique() if arm != "start"]
    metrics = shown("study figure")
    figure = new_figure((4.4 * len(metrics), 4.4))
    for axes, metric in zip(figure.subplots(1, len(metrics)), metrics, strict=True):
        style(axes, metric_entry(metric).title)
        for number, arm in enumerate(arms):
            points = tradeoff_points(table, arm, metric, deployed, long, kimg)
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(points.long, points.deployed, "o-", color=colour, markersize=4, label=arm)
            if len(points):
                axes.plot(points.long.iloc[-1], points.deployed.iloc[-1], "D", color=colour)
        floors = table[(table.metric == metric)].floor.dropna()
        if len(floors):
            floor = float(floors.iloc[0])
            axes.axhline(floor, color=MUTED, linewidth=0.8, linestyle=":")
            axes.axvline(floor, color=MUTED, linewidth=0.8, linestyle=":")
        axes.set_xlabel(f"{long} (adapter off)")
    figure.axes[0].set_ylabel(deployed)
    figure.axes[0].legend(fontsize=8)
    figure.supxlabel(
        "lower left is better; mean over seeds, from the start to the end (diamond); dotted: real "
        "images against real ones",
        fontsize=9,
        color=MUTED,
    )
    (out / "tradeoff.png").write_bytes(png(figure))
