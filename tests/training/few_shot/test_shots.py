from types import SimpleNamespace

import numpy as np
import pytest

from dataset.errors import DatasetError
from training.few_shot.shots import choose

LABELS = np.array([0, 1, 2, -1] * 50)
DATASET = SimpleNamespace(
    labels=LABELS,
    num_classes=3,
    group_names=["cat", "dog", "owl"],
    train_indices=np.arange(160),
    held_out_indices=np.arange(160, 200),
)


def test_shots_are_training_images_of_their_class_and_no_test_image():
    found = choose(DATASET, ["owl", "cat"], 4, 100, 0)
    assert found.names == ["owl", "cat"] and len(set(found.shots)) == 8 and found.shots.max() < 160
    assert found.shot_classes.tolist() == [0] * 4 + [1] * 4
    for rows, classes in ((found.shots, found.shot_classes), (found.test, found.test_classes)):
        assert [["owl", "cat"][c] for c in classes] == [
            DATASET.group_names[n] for n in LABELS[rows]
        ]
    assert len(found.test) == 20 and found.test.min() >= 160
    assert set(LABELS[found.others]) == {1, -1} and found.others.max() < 160
    more = choose(DATASET, ["owl", "cat"], 4, 1000, 0, held_out_only=False)
    assert len(more.test) == 100 - 8 and not set(more.test) & set(more.shots)
    assert len(choose(DATASET, None, 4, 7, 0).test) == 7


def test_the_order_of_the_classes_decides_nothing_and_the_seed_does():
    one, other = choose(DATASET, ["owl", "cat"], 4, 9, 0), choose(DATASET, ["cat", "owl"], 4, 9, 0)
    assert one.shots[:4].tolist() == other.shots[4:].tolist()
    assert one.test.tolist() == other.test.tolist()
    assert one.shots.tolist() != choose(DATASET, ["owl", "cat"], 4, 9, 1).shots.tolist()


@pytest.mark.parametrize(
    ("names", "shots", "message"),
    [
        (["cat", "dgo"], 4, "unknown class 'dgo': did you mean 'dog'"),
        (["cat"], 4, "one class, 'cat', is nothing to tell apart"),
        (["cat", "cat"], 4, "name each once"),
        (["cat", "dog"], 41, "class 'cat' has 40 training images, and 41 shots"),
    ],
)
def test_what_cannot_be_taken_is_refused(names, shots, message):
    with pytest.raises(ValueError, match=message):
        choose(DATASET, names, shots, 9, 0)


def test_images_without_classes_and_nothing_to_test_on_are_refused():
    with pytest.raises(DatasetError, match="have no classes"):
        choose(SimpleNamespace(**vars(DATASET) | {"group_names": []}), None, 4, 9, 0)
    none = SimpleNamespace(**vars(DATASET) | {"held_out_indices": np.arange(163, 164)})
    with pytest.raises(ValueError, match=r"no held-out image .*: --test remaining"):
        choose(none, None, 4, 9, 0)
