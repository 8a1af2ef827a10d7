"""From the seconds of single steps to hours; plays are counted as training counts them."""

from pathlib import Path

import pytest

from pipelines.forecast.duration import Costs, TrainingWork, about, sampling_seconds
from pipelines.forecast.tell import expected_costs, expected_line
from pipelines.params import check_params
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import read_yaml

ROOT = Path(__file__).parents[3]
COSTS = Costs(step=0.5, play=2.0, held_out=3.0, evaluation=0.001)


def params_with(**changes):
    raw = read_yaml(ROOT / "presets" / "digits.yaml")
    return check_params(with_values(raw, {k.replace("__", "."): v for k, v in changes.items()}))


@pytest.mark.parametrize("start", [0, 0.1, 0.128, 0.3, 2])
@pytest.mark.parametrize("every", [1, 3, 4])
def test_plays_are_those_of_the_training_loop(start, every):
    """Brute force: a play at each step s from the start on with s % every == 0."""
    settings = params_with(
        structure__start_kimg=start,
        structure__every=every,
        train__batch_size=64,
        train__total_kimg=1.9,
    ).run_settings()
    work = TrainingWork(settings, COSTS)
    played = 0
    for step in range(settings.total_steps):
        assert work.plays(step * 64) == played
        played += step * 64 >= start * 1000 and step % every == 0
    assert work.plays(settings.total_nimg) == played
    assert bool(played) == (start < 1.9)


def test_the_duration_is_the_sum_of_its_parts():
    params = params_with(tracking__enabled=False, train__held_out_every_kimg=10)
    settings = params.run_settings()
    work = TrainingWork(settings, COSTS)
    steps, plays = settings.total_steps, work.plays(settings.total_nimg)
    assert (steps, plays) == (938, 117)
    whole = 0.5 * steps + 2.0 * plays + 3.0 * 12
    assert work.until(settings.total_nimg) == pytest.approx(whole)
    # The second half has all plays.
    half = 469 * 128
    assert work.between(half, settings.total_nimg) > 1.5 * work.between(0, half)


def test_without_costs_each_image_is_equal_work():
    work = TrainingWork(params_with().run_settings())
    assert work.between(1000, 3500) == 2500


def test_sampling_counts_images_lengths_and_evaluations():
    params = params_with(samplers=["heun18", "fast8"])
    evaluations = params.sampling["heun18"].nfe + params.sampling["fast8"].nfe
    assert evaluations == 35 + 8
    assert sampling_seconds(params, COSTS) == pytest.approx(0.001 * 512 * 5 * evaluations)


def test_words():
    told = [about(s) for s in (3, 44, 89, 100, 60 * 60, 3.2 * 3600, 17 * 3600, 3 * 86400)]
    assert told == [
        *("about 3 seconds", "about 40 seconds", "about 90 seconds", "about 2 minutes"),
        *("about 60 minutes", "about 3.2 hours", "about 17 hours", "about 3.0 days"),
    ]


def test_the_line_before_training_counts_what_is_left(tmp_path):
    work = TrainingWork(params_with(tracking__enabled=False).run_settings(), COSTS)
    assert expected_line(work, tmp_path) == (
        "about 12 minutes on this machine, of which 117 plays of the game take about 4 minutes "
        "(measured on a few steps)"
    )
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "checkpoint-000000090112.safetensors").touch()
    assert expected_line(work, tmp_path).startswith("about 4 minutes more on this machine")
    assert "after the first seconds" in expected_line(TrainingWork(work.settings), tmp_path)


def test_a_short_training_and_one_elsewhere_are_not_measured(tmp_path):
    assert expected_costs(params_with(train__total_kimg=2.0, ema__snapshots=4), tmp_path) is None
    assert expected_costs(params_with(cluster__address="node:6379"), tmp_path) is None
    assert not list(tmp_path.iterdir())
