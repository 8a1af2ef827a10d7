"""Which point of a chart over the EMA length is ringed."""

import numpy as np
import pytest

from pipelines.reporting.figures import best_point, draw_lengths, new_figure

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
