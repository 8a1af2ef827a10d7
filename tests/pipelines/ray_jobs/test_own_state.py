"""Ray's own state of a training does not pile up."""

import os

import pytest

from pipelines.ray_jobs.own_state import KEPT_FAILURES, ray_state


def start(storage, run, error=None, age=0.0):
    """One start of a run, as Ray Train leaves it behind; returns the name."""
    with ray_state(storage, run) as name:
        (storage / name).mkdir(parents=True)
        (storage / name / "state.json").write_text("{}")
        os.utime(storage / name, (1e9 - age, 1e9 - age))
        if error is not None:
            raise error
    return name


def left(storage):
    return {path.name for path in storage.glob("*")}


def test_a_finished_start_leaves_nothing(tmp_path):
    names = {start(tmp_path, "train-a") for _ in range(2)}
    assert len(names) == 2 and all(name.startswith("train-a-") for name in names)
    assert left(tmp_path) == set()


@pytest.mark.parametrize("error", [RuntimeError("no memory"), KeyboardInterrupt(), SystemExit(143)])
def test_of_failed_starts_the_latest_stay(tmp_path, error):
    other = "train-b-0123456789ab"
    (tmp_path / other).mkdir()
    made = []
    for number in range(KEPT_FAILURES + 3):
        before = left(tmp_path)
        with pytest.raises(type(error)):
            start(tmp_path, "train-a", error, age=100 - number)
        made += left(tmp_path) - before
    assert left(tmp_path) == {other, *made[-KEPT_FAILURES:]}
    start(tmp_path, "train-a")
    assert left(tmp_path) == {other, *made[-KEPT_FAILURES:]}


def test_killed_starts_do_not_pile_up(tmp_path):
    for number in range(KEPT_FAILURES + 3):
        (tmp_path / f"train-a-{number}").mkdir()
        os.utime(tmp_path / f"train-a-{number}", (1e9 + number, 1e9 + number))
    start(tmp_path, "train-a")
    assert left(tmp_path) == {f"train-a-{number}" for number in range(3, KEPT_FAILURES + 3)}


def test_a_start_that_left_nothing_fails_as_itself(tmp_path):
    with (
        pytest.raises(RuntimeError, match="no such cluster"),
        ray_state(tmp_path / "none", "train-a"),
    ):
        raise RuntimeError("no such cluster")
