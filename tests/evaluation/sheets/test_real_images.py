"""Real images of the same classes in the same order."""

from types import SimpleNamespace

import numpy as np

from evaluation.sheets.real_images import classes_without, real_counterparts

LABELS = np.array([0, 1, 2] * 20)


def data(held_out):
    rows = np.arange(60)
    chosen = np.isin(rows, held_out)
    return SimpleNamespace(
        labels=LABELS, held_out_indices=rows[chosen], train_indices=rows[~chosen]
    )


def test_classes_and_their_order_are_those_of_the_labels():
    asked = np.array([2, 0, 0, 1, 2, 2, 0])
    found = real_counterparts(data(range(30)), asked)
    assert (LABELS[found] == asked).all()
    assert len(set(found.tolist())) == len(asked) and found.max() < 30, "held out, each once"
    assert (real_counterparts(data(range(30)), asked) == found).all()


def test_training_images_follow_where_held_out_ones_are_few():
    found = real_counterparts(data([0, 1, 3]), np.zeros(5, int))
    assert set(found[:2]) == {0, 3} and (found[2:] > 3).all() and (LABELS[found] == 0).all()
    assert len(real_counterparts(data([0, 1]), np.full(50, 2))) == 50  # class 2 has 20 images
    anything = real_counterparts(data(range(30)), np.full(10, -1))
    assert len(set(LABELS[anything])) > 1 and anything.max() < 30


def test_classes_without_an_image_are_named():
    assert classes_without(np.array([2, 2, 0]), ["a", "b", "c", "d"]) == ["b", "d"]
    assert classes_without(np.array([-1]), []) == []
