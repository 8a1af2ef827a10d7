import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

import evaluation.classifier
from evaluation.classifier import augment, classifier_accuracy, train_classifier
from models.extractors.classifier import load_classifier


def test_learns_the_digits(digits, digits_reference):
    folder, manifest = digits_reference
    assert manifest["held_out_accuracy"] >= 0.97
    network = load_classifier(folder / "classifier.safetensors")
    chosen = digits.held_out_indices
    accuracy = classifier_accuracy(network, digits.images, digits.labels, chosen)
    assert accuracy == manifest["held_out_accuracy"]
    shuffled = np.random.default_rng(0).permutation(digits.labels)
    assert classifier_accuracy(network, digits.images, shuffled, chosen) < 0.25


def test_features_see_within_a_class(digits, digits_reference):
    """A plain classifier's explain two thirds of held-out pixels, by class mostly."""
    folder, _ = digits_reference
    features = load_classifier(folder / "classifier.safetensors").features(digits.images)
    variances = np.linalg.eigvalsh(np.cov(features, rowvar=False))
    assert variances.sum() ** 2 / (variances**2).sum() > 15
    pixels = digits.images.reshape(len(features), -1) / 255.0
    train, held_out = digits.train_indices, digits.held_out_indices
    error = Ridge(1e-2).fit(features[train], pixels[train]).predict(features[held_out])
    error -= pixels[held_out]
    centred = pixels[held_out] - pixels[held_out].mean(axis=0)
    assert 1 - (error**2).sum() / (centred**2).sum() > 0.8


def test_same_arguments_same_weights(digits, monkeypatch):
    monkeypatch.setattr(evaluation.classifier, "MIN_BATCHES", 3)
    monkeypatch.setattr(evaluation.classifier, "EPOCHS", 0)
    arguments = digits.images, digits.labels, 10, digits.train_indices, digits.held_out_indices
    torch.manual_seed(1)
    first, _ = train_classifier(*arguments)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    again, _ = train_classifier(*arguments)
    assert torch.equal(torch.rand(1), drawn)  # the global generator is left alone
    torch.manual_seed(2)
    third, _ = train_classifier(*arguments)
    assert first.sha256() == again.sha256() == third.sha256()
    assert first.description["images_seen"] == 3 * evaluation.classifier.BATCH
    assert train_classifier(*arguments, seed=5)[0].sha256() != first.sha256()


def test_held_out_and_unlabelled_images_are_never_trained_on(digits, monkeypatch):
    monkeypatch.setattr(evaluation.classifier, "MIN_BATCHES", 2)
    monkeypatch.setattr(evaluation.classifier, "EPOCHS", 0)
    labels = digits.labels.copy()
    labels[digits.train_indices[::2]] = -1
    split = digits.train_indices, digits.held_out_indices
    first, accuracy = train_classifier(digits.images, labels, 10, *split)
    hidden = digits.images.copy()
    hidden[digits.held_out_indices] = 0
    hidden[digits.train_indices[::2]] = 0
    second, _ = train_classifier(hidden, labels, 10, *split)
    assert torch.equal(first.trunk[0].weight, second.trunk[0].weight)
    assert torch.equal(first.feature_map, second.feature_map)
    assert 0 <= accuracy <= 1
    labels[digits.held_out_indices] = -1
    assert train_classifier(digits.images, labels, 10, *split)[1] is None


def test_one_class_is_an_error(digits):
    with pytest.raises(ValueError, match="at least 2 classes"):
        train_classifier(
            digits.images,
            np.zeros_like(digits.labels),
            10,
            digits.train_indices,
            digits.held_out_indices,
        )


def test_augment_shifts_without_wrapping_and_adds_noise():
    x = torch.zeros(64, 1, 16, 16)
    x[:, :, 8, 5] = 1
    clean, noisy = augment(x, torch.Generator().manual_seed(0))
    assert clean.shape == noisy.shape == x.shape
    assert torch.equal(clean.sum(dim=(1, 2, 3)), torch.ones(64))
    rows, columns = clean.flatten(1).argmax(dim=1).div(16, rounding_mode="floor"), None
    columns = clean.flatten(1).argmax(dim=1) % 16
    assert set(rows.tolist()) == set(range(6, 11)) and set(columns.tolist()) == set(range(3, 8))
    assert 0 < (noisy - clean).std() < evaluation.classifier.NOISE
