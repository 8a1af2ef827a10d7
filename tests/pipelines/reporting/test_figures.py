"""Which point of a chart over the EMA length is ringed."""

import numpy as np
import pytest

from pipelines.reporting import figures
from pipelines.reporting.figures import (
    Line,
    best_point,
    draw_lengths,
    draw_lines,
    grid_chart,
    length_chart,
    line_chart,
    new_figure,
    style,
)

POINTS = [(0.05, 0.7), (0.1, 0.95), (0.14, 1.3)]


@pytest.mark.parametrize(
    ("better", "floor", "best"),
    [
        ("down", None, (0.05, 0.7)),
        ("up", None, (0.14, 1.3)),
        ("floor", 0.9, (0.1, 0.95)),
        ("floor", 1.2, (0.14, 1.3)),
        ("floor", None, None),
        (None, 0.9, None),
    ],
)
def test_best_point_follows_the_table_of_metrics(better, floor, best):
    assert best_point(POINTS, better, floor) == best
    assert best_point([], better, floor) is None


def test_each_curve_is_ringed_by_its_own_floor():
    axes = new_figure((4, 3)).subplots()
    floors = {"a": (0.72, 0.01), "b": (1.25, 0.01)}
    draw_lengths(axes, {"a": POINTS, "b": POINTS, "c": POINTS}, floors, "floor")
    rings = [line.get_xydata() for line in axes.lines if line.get_markersize() == 12]
    np.testing.assert_allclose(np.concatenate(rings), [(0.05, 0.7), (0.14, 1.3)])


@pytest.mark.parametrize(
    "values",
    [[0.012, -0.013], [3e-6, 9e-6], [1000.0001, 1000.0004], [2e7, 3e7], [0.5, 0.7], [0, 0]],
)
def test_each_tick_says_its_number_by_itself(values):
    """No "1e-2" and no "+1e3" stands apart at an axis's end, and ticks differ."""
    sheet = new_figure((5, 3))
    axes = sheet.subplots()
    style(axes)
    draw_lines(axes, [Line("a", [1000, 2000], values)])
    sheet.canvas.draw()
    for axis in (axes.xaxis, axes.yaxis):
        assert axis.get_offset_text().get_text() == ""
        low, high = sorted(axis.get_view_interval())
        shown = [
            (float(t), s.get_text())
            for t, s in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        ]
        shown = [(tick, said) for tick, said in shown if low <= tick <= high and said]
        assert len({said for _, said in shown}) == len(shown) >= 2
        for tick, said in shown:
            assert float(said.replace("\u2212", "-")) == pytest.approx(tick, rel=1e-3, abs=1e-12)


def test_a_logarithmic_axis_of_many_decades_has_a_tick_a_decade():
    sheet = new_figure((5, 3))
    axes = sheet.subplots()
    style(axes)
    draw_lines(axes, [Line("a", [1, 2], [1e-3, 1e3])])
    sheet.canvas.draw()
    said = [label.get_text() for label in axes.get_yticklabels()]
    assert {"0.001", "0.1", "1", "1000"} <= set(said) and "0.5" not in said


def test_charts_over_the_ema_length_say_which_way_is_better(monkeypatch):
    seen = []
    monkeypatch.setattr(figures, "png", lambda figure: seen.append(figure) or b"")
    length_chart("KID", {"a": POINTS}, {"a": (0.6, 0.01)}, "down")
    length_chart("Density", {"a": POINTS}, {"a": (0.9, 0.01)}, "floor")
    length_chart("x", {"a": POINTS}, {}, None)
    said = [figure.axes[0].get_ylabel() for figure in seen]
    assert said == ["better: lower", "better: near its floor", ""]
    assert grid_chart("t", {"a": [80.0, 1.0, 0.002, 0.0]}) == b""
    ticks = [label.get_text() for label in seen[-1].axes[0].get_xticklabels()]
    assert {"10", "0.1"} <= set(ticks)
    assert line_chart("t", []) == b""


def test_names_are_drawn_letter_by_letter():
    """`$...$` in a name is no formula: a wrong one would end the command with an error."""
    points = np.array([1.0, 2.0])
    lines = [Line("run $\\frac{$", points, points), Line("cats $x$", points, points)]
    assert line_chart("title $\\nothing$", lines, "$ $").startswith(b"\x89PNG")
    axes = new_figure((4, 3)).subplots()
    axes.set_xticks([0, 1], ["a $\\frac{$", "b"])
    assert figures.png(axes.figure) and not axes.get_xticklabels()[0].get_parse_math()


@pytest.mark.parametrize("curves", [1, 2])
def test_a_chart_of_one_point_has_one_tick(curves):
    axes = new_figure((4, 3)).subplots()
    style(axes)
    draw_lines(axes, [Line("a", [4000], [0.5])] * curves)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["4"]
