"""What generated images are asked to show."""

from types import SimpleNamespace

import numpy as np

from sampling.labels import generation_labels

DATASET = SimpleNamespace(
    num_classes=3, labels=np.array([0, 1, 2, 0, 1, 2]), train_indices=np.array([0, 1, 3])
)


def test_labels_are_those_of_training_images():
    labels = generation_labels(DATASET, 0, 400)
    assert set(labels) == {0, 1} and abs((labels == 0).mean() - 2 / 3) < 0.1
    assert (labels[:7] == generation_labels(DATASET, 0, 7)).all()
    assert (labels != generation_labels(DATASET, 1, 400)).any()


def test_an_unconditional_denoiser_is_asked_for_nothing():
    """Labels that it never saw would be judged as if it had: a conditional accuracy of chance."""
    assert (generation_labels(DATASET, 0, 5, conditional=False) == -1).all()
    some = DATASET.train_indices[::2]
    drawn = generation_labels(DATASET, 0, len(some), images=some)
    assert sorted(drawn) == sorted(np.asarray(DATASET.labels)[some])
    unlabelled = SimpleNamespace(num_classes=0)
    assert (generation_labels(unlabelled, 0, 5) == -1).all()
