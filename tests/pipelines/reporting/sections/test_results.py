"""Numbers: which are off their floors, and what is said of all settings."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from pipelines.reporting.sections import results

made = SimpleNamespace(**run_path(str(Path(__file__).with_name("report_inputs.py"))))


def metric(value, floor, deviation=0.01, **more):
    return {"value": value, "floor": floor, "floor_std": deviation, **more}


def test_metrics_far_from_their_floors_are_named_in_the_tables_order():
    item = made.item(
        metric_name="FD-Classifier",
        metrics={
            "density": metric(0.9, 0.98),
            "fd": metric(2.0, 1.0),
            "kid": metric(0.02, 0.001),
            "coverage": metric(0.5, 0.4, None),
            "lid_real": metric(9.0, 1.0),
            "mine": metric(9.0, 1.0),
        },
    )
    assert results.off_their_floors(item) == ["FD-Classifier", "Density"]
    page = results.metrics(item)
    assert "deviations from it: FD-Classifier, Density." in page
    titles = [
        page.index(f"<td>{t}<small>") for t in ("KID", "FD-Classifier", "Coverage", "Density")
    ]
    assert titles == sorted(titles)
    near = made.item(metrics={"kid": metric(0.002, 0.001)})
    assert "deviations from it" not in results.metrics(near)


def test_settings_that_kid_does_not_tell_apart_are_counted():
    def items(*kids):
        return [
            made.item(item=str(k), metrics={"kid": metric(k, 0.001, 0.01, std=0.002)}) for k in kids
        ]

    def said(*kids):
        inputs = made.inputs(items(*kids))
        return results.settings(inputs, inputs.items[0])

    assert "All of the 3 settings lie within one standard deviation" in said(0.02, 0.021, 0.0205)
    assert "2 of the 3 settings lie within" in said(0.02, 0.021, 0.05)
    assert "lie within" not in said(0.02, 0.05, 0.08) and "lie within" not in said(0.02)


def test_only_rough_averages_are_told():
    lengths = {"0.05": {"relative_profile_error": 0.002}, "0.2": {"relative_profile_error": 0.12}}
    rough = made.inputs(reconstruct={"lengths": lengths})
    page = results.settings(rough, rough.items[0])
    assert "0.2 (12%)" in page and "0.05 (" not in page and "ema.snapshots" in page
    exact = made.inputs(reconstruct={"lengths": {"0.05": {"relative_profile_error": 0.0}}})
    assert "profile" not in results.settings(exact, exact.items[0])
