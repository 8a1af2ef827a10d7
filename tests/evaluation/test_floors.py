import numpy as np
import pytest

from evaluation.floors import draw_metrics, equal_size, floor_means


def test_equal_size_is_the_least_of_three():
    assert equal_size(1024, 1397, 400) == 200
    assert equal_size(50, 1397, 400) == 50
    assert equal_size(1024, 100, 400) == 100


def mean_gap(real, other, seed):
    return {"gap": float(other.mean() - real.mean()), "n": len(real)}


def test_floor_of_a_known_statistic():
    """The difference of two means of n unit normals scatters with sqrt(2 / n)."""
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 1))
    drawn = draw_metrics(mean_gap, {"floor": train}, held_out, 50, 400, seed=1)["floor"]
    assert (drawn["n"] == 50).all()
    assert abs(drawn["gap"].std(ddof=1) / np.sqrt(2 / 50) - 1) < 0.15
    assert abs(drawn["gap"].mean()) < 5 * np.sqrt(2 / 50) / 20


def test_draws_are_seeded_differ_and_face_the_same_real_images():
    train, held_out = np.arange(100.0)[:, None], np.arange(100.0, 160.0)[:, None]
    faced = []

    def measure(real, other, seed):
        faced.append(real)
        assert len(np.unique(real)) == len(np.unique(other)) == 20
        return {"other": float(other.sum()), "real": float(real.sum())}

    def drawn(others, seed=0):
        return draw_metrics(measure, {"one": others}, held_out, 20, 4, seed)["one"]

    first, again, model, other = drawn(train), drawn(train), drawn(-train[:20]), drawn(train, 9)
    np.testing.assert_array_equal(first["other"], again["other"])
    np.testing.assert_array_equal(first["real"], model["real"])
    assert len(set(first["real"])) == 4 and not np.array_equal(first["real"], other["real"])
    assert all(((real >= 100) & (real < 160)).all() for real in faced)
    sets = {"model": -train[:20], "floor": train}
    together = draw_metrics(measure, sets, held_out, 20, 4, seed=0)
    for which, alone in (("model", model), ("floor", first)):
        for name in alone:
            np.testing.assert_array_equal(together[which][name], alone[name])


def test_the_real_side_is_prepared_once_a_draw():
    prepared, given = [], []

    def prepare(real, draw):
        prepared.append((draw, float(real.sum())))
        return draw

    def measure(real, other, seed):
        given.append(real)
        return {"sum": float(other.sum())}

    values = np.arange(12.0)[:, None]
    draw_metrics(measure, {"a": values, "b": values}, values, 5, 3, seed=0, prepare=prepare)
    assert given == [0, 0, 1, 1, 2, 2] and [draw for draw, _ in prepared] == [0, 1, 2]
    faced = []
    draw_metrics(lambda real, *_: faced.append(real.sum()) or {}, {"a": values}, values, 5, 3, 0)
    assert [total for _, total in prepared] == faced


def test_progress_is_told():
    zeros = np.zeros((9, 1))
    for sets, expected in (({"a": zeros}, 4), ({"a": zeros, "b": zeros}, 8)):
        told = []
        draw_metrics(mean_gap, sets, zeros, 3, 4, 0, told.append)
        assert told == list(range(1, expected + 1))


def test_mean_floors_against_one_set_of_held_out_images():
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(20_000, 1)), rng.normal(size=(50, 1))
    found = floor_means(mean_gap, train, held_out, 400, seed=0)
    # The held-out images stay, so only the train draws scatter: sqrt(1 / 50 / 400).
    assert abs(found["gap"] - (train.mean() - held_out.mean())) < 4 * np.sqrt(1 / 50 / 400)
    assert found["n"] == 50 and found == floor_means(mean_gap, train, held_out, 400, seed=0)
    assert found != floor_means(mean_gap, train, held_out, 400, seed=1)
    with pytest.raises(ValueError, match="49 train features for 50"):
        floor_means(mean_gap, train[:49], held_out, 2, seed=0)
