"""The forecast of judging grows as judging does."""

from pathlib import Path

import pytest

import pipelines.forecast.judging as judging
from dataset.store import ImageDataset
from pipelines.forecast.judging import measure_judging
from pipelines.forecast.stand_in import write_stand_in
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]


def params_with(**changes):
    raw = read_yaml(ROOT / "presets" / "digits.yaml")
    small = {"evaluation.num_images": 64, "evaluation.picture_images": 16}
    small |= {"evaluation.floor_draws": 4, "evaluation.kid_subsets": 10}
    return check_params(
        with_values(raw, small | {k.replace("__", "."): v for k, v in changes.items()})
    )


@pytest.fixture
def clock(monkeypatch):
    """Each timed call takes a second; so the forecast is a number of calls."""

    def timed(call):
        call()
        return 1.0

    monkeypatch.setattr(judging, "_seconds", timed)


def test_draws_items_and_images_are_counted(clock):
    found = measure_judging(params_with(), None)
    # three functions, 4 draws of 5 items and of the floors; 5 x (64 + 16) images, 32 a second
    assert found.seconds == pytest.approx(3 * 4 * (5 + 1) + 5 * 80 / 32)
    assert (found.n, found.known) == (64, False)


def test_more_images_than_are_timed_are_scaled(clock):
    found = measure_judging(params_with(evaluation__num_images=2048), None)
    local, fd, kid = (2048 / 512) ** 2, 1, 1  # the classifier has 64 features
    assert found.seconds == pytest.approx((local + fd + kid) * 4 * 6 + 5 * (2048 + 16) / 32)
    more = measure_judging(params_with(evaluation__kid_subsets=50), None)
    assert more.seconds == pytest.approx((1 + 1 + 5) * 4 * 6 + 5 * 80 / 32)


def test_a_prepared_data_set_decides_how_many_are_compared(clock, tmp_path):
    params = params_with()
    write_stand_in(params.dataset, tmp_path)
    found = measure_judging(params, ImageDataset(tmp_path))
    assert (found.n, found.known) == (16, True)  # half of 32 held-out images


def test_it_is_measured(tmp_path):
    found = measure_judging(params_with(), None)
    assert 0 < found.seconds < 600
