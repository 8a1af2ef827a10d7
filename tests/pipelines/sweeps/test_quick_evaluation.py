"""The floors that a sweep's trials are judged by."""

from types import SimpleNamespace

import numpy as np
import pytest

from evaluation.manifold import structure_metrics
from pipelines.sweeps import quick_evaluation
from pipelines.sweeps.quick_evaluation import QuickEvaluation


@pytest.fixture
def reference(monkeypatch):
    """Real features of one distribution, and none else."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(900, 3)).astype(np.float32)
    real = SimpleNamespace(train_features=features[:600], held_out_features=features[600:])
    monkeypatch.setattr(quick_evaluation, "load_reference", lambda folder, path: real)
    yield real
    quick_evaluation._reference.cache_clear()
    quick_evaluation._floors.cache_clear()
    quick_evaluation._some_held_out.cache_clear()


def evaluation(k=5):
    return QuickEvaluation("data", "reference", None, 0, 200, 16, k, "{}")


def test_real_images_are_at_the_floor_and_crowded_ones_are_not(reference):
    floors = quick_evaluation._floors(evaluation(), 200)
    assert floors.keys() == {"precision", "density", "knn_two_sample"}
    side = quick_evaluation._some_held_out(evaluation(), 200)
    held_out = side.features
    fresh = np.random.default_rng(1).normal(size=(200, 3))
    real = structure_metrics(held_out, fresh, 5)
    assert structure_metrics(held_out, fresh, 5, side.distances) == real
    crowded = structure_metrics(held_out, 0.3 * fresh, 5)
    assert crowded["density"] > 1.1 > real["density"], "what a sweep for more density would choose"
    for name, floor in floors.items():
        assert abs(crowded[name] - floor) > 2 * abs(real[name] - floor), name


def test_floors_are_the_same_in_every_process(reference):
    first = quick_evaluation._floors(evaluation(), 200)
    quick_evaluation._floors.cache_clear()
    assert quick_evaluation._floors(evaluation(), 200) == first
    assert quick_evaluation._floors(evaluation(k=3), 200) != first
