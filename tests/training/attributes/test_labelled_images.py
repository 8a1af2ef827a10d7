from types import SimpleNamespace

import numpy as np
import pytest

from dataset.errors import DatasetError
from training.attributes.labelled_images import labelled_rows

LABELS = np.array([0, 1, 2, -1] * 50)
DATASET = SimpleNamespace(
    labels=LABELS,
    num_classes=3,
    group_names=["cat", "dog", "owl"],
    train_indices=np.arange(0, 160),
)


def test_rows_are_training_images_of_the_classes_at_random_without_repetition():
    rows, values, names = labelled_rows(DATASET, ["owl", "cat"], 30, 0)
    assert names == ["owl", "cat"] and len(set(rows)) == 30 and rows.max() < 160
    assert [["owl", "cat"][value] for value in values] == [
        DATASET.group_names[label] for label in LABELS[rows]
    ]
    assert not np.array_equal(labelled_rows(DATASET, ["owl", "cat"], 30, 1)[0], rows)
    rows, values, names = labelled_rows(DATASET, None, 1000, 0)
    assert len(rows) == 120 and names == DATASET.group_names


def test_unknown_classes_and_images_without_any_are_refused():
    with pytest.raises(ValueError, match="unknown class 'cot'"):
        labelled_rows(DATASET, ["cot", "dog"], 30, 0)
    without = SimpleNamespace(**vars(DATASET) | {"group_names": []})
    with pytest.raises(DatasetError, match="have no classes"):
        labelled_rows(without, None, 30, 0)
