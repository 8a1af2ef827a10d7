import json
from types import SimpleNamespace

import numpy as np
import pytest

import evaluation.reference
from evaluation.config import EvaluationConfig
from evaluation.frechet import feature_statistics
from evaluation.reference import build_reference, load_reference, resolve_extractor
from models.extractors.load import ExtractorError


def variant(dataset, **changes):
    return SimpleNamespace(**(vars(dataset) | changes))


@pytest.fixture
def broken(digits_reference, tmp_path):
    """A copy of the reference to damage."""
    for file in digits_reference[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_what_is_written_is_what_is_loaded(digits, digits_reference):
    folder, manifest = digits_reference
    assert sorted(path.name for path in folder.iterdir()) == [
        "classifier.json",
        "classifier.safetensors",
        "held_out_features.npy",
        "reference.json",
        "statistics.npz",
        "train_features.npy",
    ]
    assert json.loads((folder / "reference.json").read_text()) == manifest
    assert manifest["extractor"] == "classifier" and manifest["metric_name"] == "FD-Classifier"
    assert (manifest["num_train"], manifest["num_held_out"]) == (1397, 400)
    assert manifest["protocol"]["weights_sha256"] and manifest["dataset_hash"] == "digits"
    reference = load_reference(folder)
    assert reference.train_features.shape == (1397, 64)
    assert isinstance(reference.held_out_features, np.memmap)
    part = digits.images[digits.held_out_indices[:20]]
    np.testing.assert_allclose(
        reference.held_out_features[:20], reference.extractor.features(part), atol=1e-5
    )
    mean, cov = feature_statistics(reference.train_features)
    np.testing.assert_allclose(reference.train_mean, mean, atol=1e-10)
    np.testing.assert_allclose(reference.train_cov, cov, atol=1e-10)


def test_auto_takes_the_classifier_for_labelled_grey_images_only(digits):
    auto = EvaluationConfig()
    assert resolve_extractor(auto, digits) == "classifier"
    unlabelled = variant(digits, labels=np.full_like(digits.labels, -1), num_classes=0)
    assert resolve_extractor(auto, unlabelled) == "efficientnet_lite0"
    colour = variant(digits, image_shape=(3, 8, 8))
    assert resolve_extractor(auto, colour) == "efficientnet_lite0"
    assert resolve_extractor(EvaluationConfig(extractor="inception"), digits) == "inception"


def test_a_missing_network_is_found_before_anything_is_made(digits, tmp_path):
    config = EvaluationConfig(extractor="inception", inception_path=str(tmp_path / "no.pt"))
    with pytest.raises(ExtractorError, match="download"):
        build_reference(digits, config, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_too_few_images_are_named(digits, tmp_path):
    small = variant(digits, held_out_indices=digits.held_out_indices[:3])
    with pytest.raises(ValueError, match=r"3 held-out images.*raise dataset\.held_out"):
        build_reference(small, EvaluationConfig(), tmp_path)


def test_colour_images_are_judged_by_an_imagenet_network_and_their_own_labels(
    digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluation.classifier, "MIN_BATCHES", 2)
    monkeypatch.setattr(evaluation.classifier, "EPOCHS", 0)
    colour = variant(
        digits,
        images=np.repeat(digits.images[:24], 3, axis=-1),
        labels=digits.labels[:24],
        image_shape=(3, 8, 8),
        train_indices=np.arange(16),
        held_out_indices=np.arange(16, 24),
    )
    steps = []
    manifest = build_reference(
        colour, EvaluationConfig(), tmp_path, lambda what, done, total: steps.append(what)
    )
    assert manifest["metric_name"] == "FD-EffNetLite0" and manifest["num_features"] == 1280
    assert list(dict.fromkeys(steps)) == [
        "finding copies",
        "training the classifier",
        "features of the train split",
        "features of the held-out split",
        "finding near-copies",
    ]
    reference = load_reference(tmp_path)
    assert reference.classifier is not None and reference.extractor.name == "efficientnet_lite0"
    assert manifest["held_out_accuracy"] is not None


def test_missing_and_damaged_files_are_named(broken):
    with pytest.raises(ValueError, match="run the reference stage"):
        load_reference(broken / "nowhere")
    np.save(broken / "held_out_features.npy", np.zeros((3, 64), np.float32))
    with pytest.raises(ValueError, match=r"held_out_features\.npy is damaged.*not float32"):
        load_reference(broken)
    (broken / "statistics.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"statistics\.npz is damaged"):
        load_reference(broken)
    (broken / "reference.json").write_text('{"schema": 99}')
    with pytest.raises(ValueError, match="schema 99"):
        load_reference(broken)


def test_features_of_other_weights_are_refused(broken):
    manifest = json.loads((broken / "reference.json").read_text())
    manifest["classifier"]["weights_sha256"] = "0" * 64
    (broken / "reference.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="not those that the features were made with"):
        load_reference(broken)


def test_whatever_reference_json_holds_is_one_value_error(broken, odd_variants, monkeypatch):
    monkeypatch.setattr(evaluation.reference, "load_extractor", unknown_extractor)
    written = json.loads((broken / "reference.json").read_text())
    for part in ("protocol", "classifier"):
        written[part] = {"weights_sha256": written[part]["weights_sha256"]}
    for odd in odd_variants(written):
        (broken / "reference.json").write_text(json.dumps(odd))
        try:
            load_reference(broken)
        except ValueError as error:
            assert str(broken) in str(error) or "unknown extractor" in str(error)
            assert "\n" not in str(error)


def unknown_extractor(name, **options):
    raise ExtractorError(f"unknown extractor {name!r}")


@pytest.mark.parametrize("written", ["[1]", "null", "", "{"])
def test_odd_json_beside_the_classifier_is_named(broken, written):
    (broken / "classifier.json").write_text(written)
    with pytest.raises(ValueError, match=r"classifier\.json is damaged"):
        load_reference(broken)
