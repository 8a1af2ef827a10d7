"""Studies ask for classes as evaluate does: as frequent as in the data set, in the same order."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dataset.store import ImageDataset
from sampling.config import SamplerConfig
from sampling.guidance.classifier_free import ClassifierFreeConfig
from sampling.labels import generation_labels
from studies import guidance
from studies.labels import dataset_beside, study_labels
from studies.sampling.subjects import trained

COUNT = 64


@pytest.fixture
def expected(material):
    labels = generation_labels(ImageDataset(material.dataset), 3, COUNT)
    assert not np.array_equal(labels, np.arange(COUNT) % 10)
    return torch.from_numpy(labels)


def test_labels_are_those_of_evaluate(material, expected):
    denoiser = SimpleNamespace(num_classes=10)
    assert torch.equal(study_labels(denoiser, material.dataset, 3, COUNT), expected)
    assert study_labels(SimpleNamespace(num_classes=0), material.dataset, 3, COUNT) is None
    assert dataset_beside(material.reference) == material.dataset
    assert str(dataset_beside(None)) == "outputs/dataset"


def test_the_sampling_study_draws_them(material, expected):
    assert torch.equal(trained(material.weights, material.reference, COUNT, 3).labels, expected)
    own = trained(material.weights, None, COUNT, 3, dataset=material.dataset)
    assert torch.equal(own.labels, expected)


def test_the_guidance_study_draws_them(material, expected, monkeypatch):
    asked = []

    def judge(reference, pixels, labels):
        asked.append(labels)
        return {"kid": 0.0}

    monkeypatch.setattr(guidance, "_judge", judge)
    sampler = SamplerConfig(solver="ddim", steps=2, guidance=(ClassifierFreeConfig(),))
    models = {"0.1": material.weights}
    guidance.sweep(models, [1.0], sampler, None, None, material.dataset, COUNT, 3)
    assert len(asked) == 1 and torch.equal(asked[0], expected)


def test_a_data_set_that_does_not_fit_is_one_line(material, tmp_path):
    with pytest.raises(ValueError, match=r"holds no data set.*give --dataset FOLDER"):
        study_labels(SimpleNamespace(num_classes=10), tmp_path, 0, COUNT)
    with pytest.raises(ValueError, match="has 10 classes and the denoiser 7"):
        study_labels(SimpleNamespace(num_classes=7), material.dataset, 0, COUNT)
    names = list("0123456798")  # the last two have changed places
    with pytest.raises(ValueError, match="calls '8' class 8 and the weights class 9: give the"):
        study_labels(SimpleNamespace(num_classes=10, label_names=names), material.dataset, 0, COUNT)
