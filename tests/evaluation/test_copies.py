"""Copies of real images count as one, and near-copies are counted."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import evaluation.classifier
from evaluation.config import EvaluationConfig
from evaluation.copies import copy_notes, near_copies, write_pairs
from evaluation.judge import judge
from evaluation.reference import build_reference, load_reference

CONFIG = EvaluationConfig(floor_draws=4, kid_subsets=10, kid_subset_size=40)
RNG = np.random.default_rng(0)
CHANGES = {
    "mirrored": lambda x: x[:, :, ::-1],
    "turned": lambda x: np.rot90(x, 1, (1, 2)),
    "darker": lambda x: x * 0.8,
    "noisy": lambda x: x + RNG.normal(0, 4, x.shape),
}


def repeated(data, times, train=300, held_out=200):
    """The first images of the data, each of them so many times."""
    count = train + held_out
    place = np.arange(count * times) % count
    return SimpleNamespace(
        images=data.images[:count][place],
        labels=data.labels[:count][place],
        train_indices=np.flatnonzero(place < train),
        held_out_indices=np.flatnonzero(place >= train),
        image_shape=(1, 8, 8),
        num_classes=10,
        content_hash=f"digits x {times}",
    )


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    monkeypatch.setattr(evaluation.classifier, "EPOCHS", 2)
    monkeypatch.setattr(evaluation.classifier, "MIN_BATCHES", 20)


def test_copies_change_no_metric_and_no_floor(digits, tmp_path):
    results = []
    for times in (1, 4):
        data = repeated(digits, times)
        manifest = build_reference(data, EvaluationConfig(), tmp_path / str(times))
        assert (manifest["num_train"], manifest["num_held_out"]) == (300, 200)
        reference = load_reference(tmp_path / str(times))
        assert (reference.train_indices == np.arange(300)).all()
        assert (reference.held_out_indices == np.arange(300, 500)).all()
        results.append(judge(digits.images[600:750], None, reference, CONFIG, seed=0))
    once, often = results
    assert often["metrics"] == once["metrics"] and often["n"] == once["n"] == 100
    assert once["protocol"]["copies"]["merged_train"] == 0 and once["protocol"]["notes"] == []
    copies = often["protocol"]["copies"]
    assert (copies["merged_train"], copies["merged_held_out"]) == (900, 600)
    assert often["protocol"]["notes"][0].startswith("900 training and 600 held-out images are cop")


def test_too_few_pictures_are_not_made_more_by_copies(digits, tmp_path):
    data = repeated(digits, 20, train=7, held_out=3)
    with pytest.raises(ValueError, match="7 train and 3 held-out images besides 190 copies of"):
        build_reference(data, EvaluationConfig(), tmp_path)


def test_digits_hold_no_near_copies(digits):
    found, pairs = near_copies(digits.images, digits.train_indices, digits.held_out_indices)
    assert pairs == []
    assert found == {"looked_at": 1024, "near_copies": 0, "near_copies_across_split": 0}


@pytest.mark.parametrize("change", CHANGES)
def test_augmented_copies_are_near_copies(digits, change):
    own = digits.images[:100]
    changed = np.clip(np.round(CHANGES[change](own[:30].astype(float))), 0, 255).astype(np.uint8)
    images = np.concatenate([own, changed, np.full((2, 8, 8, 1), 9, np.uint8)])
    train, held_out = np.arange(110), np.arange(110, 132)  # ten of the changed ones are in train
    found, pairs = near_copies(images, train, held_out)
    assert sorted(pairs) == [(number, 100 + number) for number in range(30)]
    assert found == {
        "looked_at": 132,  # of which the two flat ones show nothing that could be compared
        "near_copies": 60,
        "near_copies_across_split": 40,
    }


def test_of_many_images_some_are_looked_at_and_compared_with_all(digits, monkeypatch):
    monkeypatch.setattr("evaluation.copies.MOST_LOOKED_AT", 50)
    monkeypatch.setattr("evaluation.copies.AT_ONCE", 64)
    told = []
    images = np.repeat(digits.images[:100], 2, axis=0)
    found, pairs = near_copies(
        images, np.arange(150), np.arange(150, 200), lambda *x: told.append(x)
    )
    assert found == {"looked_at": 50, "near_copies": 50, "near_copies_across_split": 0}
    assert told[-1] == (200, 200)
    assert len(pairs) == 50 and all(second == first + 1 for first, second in pairs)


def test_pairs_are_listed_and_shown(digits, tmp_path, monkeypatch):
    write_pairs(tmp_path, [], digits.images)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("evaluation.copies.MOST_SHOWN", 2)
    write_pairs(tmp_path, [(1, 5), (2, 9), (3, 4)], digits.images)
    assert (tmp_path / "near_copies.csv").read_text() == "image,other\n1,5\n2,9\n3,4\n"
    high, wide = np.asarray(Image.open(tmp_path / "near_copies.png")).shape[:2]
    assert high > 80 and wide > 80
    monkeypatch.setattr("evaluation.copies.MOST_PAIRS", 7)
    same = np.repeat(digits.images[:10], 2, axis=0)
    assert len(near_copies(same, np.arange(10), np.arange(10, 20))[1]) == 7


def test_notes_say_what_was_merged_and_what_stays():
    none = {
        "merged_train": 0,
        "merged_held_out": 0,
        "looked_at": 9,
        "near_copies": 0,
        "near_copies_across_split": 0,
    }
    assert copy_notes(none) == []
    merged, near = copy_notes(none | {"merged_train": 3, "near_copies": 4})
    assert merged.startswith("3 training and 0 held-out images are copies")
    assert near.startswith("4 of 9 real images looked at may have a near-copy")
    assert "look at outputs/reference/near_copies.png" in near
