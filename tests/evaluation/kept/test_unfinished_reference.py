"""A reference that is interrupted, and made by the next start."""

import json
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import evaluation.classifier
import evaluation.features
from evaluation.config import EvaluationConfig
from evaluation.kept import unfinished_reference
from evaluation.kept.unfinished_reference import ABOUT, unfinished_work
from evaluation.reference import build_reference
from foundation.file_lock import holding
from models.extractors.classifier import ClassifierExtractor

CONFIG = EvaluationConfig(extractor="classifier")


class Killed(BaseException):
    """Stands for a signal that ends the process."""


@pytest.fixture
def counted(monkeypatch):
    """Few steps and small parts; a list of the numbers of images whose features are computed."""
    monkeypatch.setattr(evaluation.classifier, "MIN_BATCHES", 3)
    monkeypatch.setattr(evaluation.classifier, "EPOCHS", 0)
    monkeypatch.setattr(evaluation.features, "CHUNK_IMAGES", 300)
    original, seen = ClassifierExtractor.features, []

    def features(self, images, *rest, **more):
        if rest:  # from write_features, with a batch size
            seen.append(len(images))
        return original(self, images, *rest, **more)

    monkeypatch.setattr(ClassifierExtractor, "features", features)
    return seen


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def build(digits, out, kept, stop_at=None):
    """build_reference, killed at (what, done); returns what it told and its progress."""
    told, steps = [], []

    def progress(what, done, total):
        steps.append((what, done))
        if (what, done) == stop_at:
            raise Killed

    with suppress(Killed):
        build_reference(digits, CONFIG, out, progress, kept, told.append)
    return told, steps


TRAIN, HELD_OUT = "features of the train split", "features of the held-out split"


def test_interrupted_anywhere_it_goes_on_to_the_same_bits(digits, tmp_path, counted):
    build(digits, tmp_path / "whole", None)
    whole = contents(tmp_path / "whole")
    assert counted == [300, 300, 300, 300, 197, 300, 100]
    kept = tmp_path / "kept"
    _, steps = build(digits, tmp_path / "out", kept, (TRAIN, 300))
    assert [what for what, _ in steps].count("training the classifier") == 3
    for stop_at, begins in (((TRAIN, 900), 0), ((HELD_OUT, 300), 600), (None, None)):
        for path in (tmp_path / "out").iterdir():  # as the stage does, and DVC
            path.unlink()
        counted.clear()
        told, steps = build(digits, tmp_path / "out", kept, stop_at)
        assert told == ["going on with what an interrupted start has made"]
        assert "training the classifier" not in {what for what, _ in steps}
        if begins is not None:
            assert next(done for what, done in steps if what == TRAIN) == begins
    assert counted == [300, 100], "the held-out split alone, whose first part was not on disk"
    assert contents(tmp_path / "out") == whole
    assert [path.suffix for path in kept.iterdir()] == [".lock"], "removed when all is done"


def test_it_tells_of_which_data_it_is_from_the_start(digits, tmp_path, counted):
    """So that pipelines.clean knows what may go; that alone is nothing to go on with."""
    told = []
    for _ in range(2):
        with (
            pytest.raises(KeyboardInterrupt),
            unfinished_work(tmp_path, {"dataset": "abc"}, told.append) as folder,
        ):
            about = json.loads((folder / ABOUT).read_text())
            raise KeyboardInterrupt
    assert about == {"dataset": "abc"} and told == []


def test_damaged_parts_are_made_again(digits, tmp_path, counted):
    build(digits, tmp_path / "whole", None)
    kept = tmp_path / "kept"
    build(digits, tmp_path / "out", kept, (HELD_OUT, 300))
    (folder,) = (path for path in kept.iterdir() if path.is_dir())
    (features,) = folder.glob("train-*.npy")
    data = bytearray(features.read_bytes())
    data[-5] ^= 1
    features.write_bytes(data)
    weights = bytearray((folder / "classifier.safetensors").read_bytes())
    weights[-5] ^= 1
    (folder / "classifier.safetensors").write_bytes(weights)
    _, steps = build(digits, tmp_path / "out", kept)
    assert "training the classifier" in {what for what, _ in steps}
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_other_images_settings_or_code_go_on_with_nothing(digits, tmp_path, counted, monkeypatch):
    kept = tmp_path / "kept"

    def begun(of):
        told, _ = build(of, tmp_path / "out", kept, (TRAIN, 300))
        return told == []

    assert begun(digits) and not begun(digits)
    assert begun(SimpleNamespace(**(vars(digits) | {"content_hash": "other"})))
    fewer = SimpleNamespace(**(vars(digits) | {"train_indices": digits.train_indices[:-1]}))
    assert begun(fewer) and not begun(fewer)
    hashes = unfinished_reference.code_hashes()
    monkeypatch.setattr(unfinished_reference, "code_hashes", lambda: hashes | {"base.py": "new"})
    assert begun(digits)


def test_all_code_that_makes_features_is_looked_at():
    names = set(unfinished_reference.code_hashes())
    assert {"base.py", "classifier.py", "imagenet.py", "load.py", "features.py"} <= names


def test_a_second_process_keeps_nothing_and_says_so(digits, tmp_path, counted):
    kept = tmp_path / "kept"
    build(digits, tmp_path / "out", kept, (TRAIN, 300))
    (lock,) = kept.glob("*.lock")
    with holding(lock):
        told, _ = build(digits, tmp_path / "second", kept)
    assert len(told) == 1 and "makes the same reference" in told[0]
    assert np.load(tmp_path / "second" / "train_features.npy").shape[1] == 64
    assert (lock.with_suffix("")).is_dir(), "the other's work stays"
