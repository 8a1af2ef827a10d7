"""A small labelled data set and its reference, made once for all tests of evaluation."""

from types import SimpleNamespace

import numpy as np
import pytest

import evaluation.classifier
from evaluation.config import EvaluationConfig
from evaluation.reference import build_reference


@pytest.fixture(scope="session")
def digits():
    """The 1,797 digits of scikit-learn with what build_reference asks of a data set."""
    from sklearn.datasets import load_digits

    source = load_digits()
    order = np.random.default_rng(0).permutation(len(source.target))
    return SimpleNamespace(
        images=(source.images * 255 / 16).round().astype(np.uint8)[..., None],
        labels=source.target.astype(np.int64),
        train_indices=np.sort(order[:1397]),
        held_out_indices=np.sort(order[1397:]),
        image_shape=(1, 8, 8),
        num_classes=10,
        content_hash="digits",
    )


@pytest.fixture(scope="session")
def digits_reference(digits, tmp_path_factory):
    """(folder, what build_reference returned), with a classifier trained for a third as long."""
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation.classifier, "EPOCHS", 8)
        return folder, build_reference(digits, EvaluationConfig(), folder)
