"""The ratio of distances to training and to unseen images."""

import numpy as np
import pytest

import evaluation.copying
from evaluation.copying import copy_ratio, drawn_copy_ratios


def normal(count, seed, width=8):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_by_hand():
    train, unseen = np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[0.0, 2.0], [10.0, 4.0]])
    generated = np.array([[0.0, 1.0], [10.0, 1.0]])
    assert copy_ratio(generated, train, unseen) == pytest.approx((1 + 1) / (1 + 3))


def test_equal_laws_have_one_and_copies_none():
    train, unseen = normal(1000, 0), normal(1000, 1)
    assert copy_ratio(normal(1000, 2), train, unseen) == pytest.approx(1, abs=0.01)
    assert copy_ratio(train[:100], train, unseen) == 0
    half = np.concatenate([normal(500, 3), train[:500]])
    assert copy_ratio(half, train, unseen) == pytest.approx(0.5, abs=0.05)


def test_sets_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="5 training and 6 unseen images: give as many"):
        copy_ratio(normal(3, 0), normal(5, 1), normal(6, 2))


def test_drawn_beside_its_floor():
    train, held_out = normal(3000, 0), normal(800, 1)
    near = train[:900] + 0.5 * normal(900, 2)
    numbers = []
    honest = drawn_copy_ratios(normal(900, 3), train, held_out, 0, done=numbers.append)
    assert honest["value"] == pytest.approx(1, abs=0.03)
    assert honest["floor"] == pytest.approx(1, abs=0.03) and honest["floor_std"] > 0
    assert numbers == list(range(1, 11))
    every = drawn_copy_ratios(near, train[:900], held_out, 0)
    assert every["value"] < 0.95 and every["floor"] == pytest.approx(1, abs=0.03)
    assert honest == drawn_copy_ratios(normal(900, 3), train, held_out, 0)


def test_the_floor_asks_images_from_all_of_the_held_out_ones(monkeypatch):
    """Also where there are few training images, and held-out ones come class by class."""
    asked = []
    own = evaluation.copying.copy_ratio
    monkeypatch.setattr(
        evaluation.copying,
        "copy_ratio",
        lambda queries, *sets: asked.append(queries[:, 0].max()) or own(queries, *sets),
    )
    held_out = np.linspace(0, 1, 400)[:, None].repeat(3, 1).astype(np.float32)
    drawn_copy_ratios(normal(50, 1, 3), normal(40, 2, 3), held_out, 0)
    assert len(asked) == 10 and min(asked[1::2]) > 0.8
