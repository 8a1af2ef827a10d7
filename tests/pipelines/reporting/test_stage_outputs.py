"""Numbers of the stages as the report takes them."""

from pipelines.reporting.stage_outputs import flat_metrics


def test_flat_metrics():
    given = {"kid": {"value": 1, "floor": 2.0, "floor_std": None}, "x": {"resolvable": True}}
    assert flat_metrics(given) == {"kid": 1.0, "kid_floor": 2.0}
