"""The study of shares in the small: every arm gives a row, and a row stands."""

import json

import numpy as np
import pytest
import torch
import yaml

import evaluation.classifier
import studies.debias.unit
import training.attributes.predictor
from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from models.analytic import GaussianMixtureDenoiser
from studies.debias.__main__ import main, shares
from studies.debias.arms import ARMS
from studies.debias.controls import ClassShift, CleanAnswers, class_means
from studies.staged import ROOT


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Digits, params of a tiny network, and everything short."""
    prepare_dataset(DatasetConfig(), tmp_path / "dataset")
    params = yaml.safe_load((ROOT / "presets/digits.yaml").read_text())
    params["model"] |= {
        "channels": 8,
        "channel_mult": [1],
        "attention_resolutions": [],
        "structural_blocks": [],
    }
    params["train"]["batch_size"] = 16
    params["evaluation"] |= {"floor_draws": 2, "kid_subsets": 2, "kid_subset_size": 10}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.setattr(evaluation.classifier, "EPOCHS", 1)
    monkeypatch.setattr(evaluation.classifier, "MIN_BATCHES", 3)
    monkeypatch.setattr(training.attributes.predictor, "DRAWS", 1)
    monkeypatch.setattr(studies.debias.unit, "GROUP", 4)
    defaults = list(training.attributes.predictor.fit.__kwdefaults__.items())
    monkeypatch.setattr(
        training.attributes.predictor.fit, "__kwdefaults__", dict(defaults) | {"steps": 2}
    )
    words = ["--values", "3:0.75,7:0.25", "--target", "3:0.5,7:0.5", "--train-images", "80"]
    words += ["--held-out", "40", "--images", "8", "--labelled", "40", "--kimg", "0.1"]
    for option, place in (("source", "dataset"), ("params", "params.yaml")):
        words += [f"--{option}", str(tmp_path / place)]
    for option in ("work", "rows"):
        words += [f"--{option}", str(tmp_path / option)]
    return tmp_path, [*words, "--seeds", "20"]


def test_every_arm_has_a_row_that_stands(small, capsys, monkeypatch):
    folder, words = small
    main(words)
    table = capsys.readouterr().out
    assert all(f"| {name} |" in table for name in ARMS)
    row = json.loads((folder / "rows/marginal-20.json").read_text())
    assert row["shares"]["3"]["wanted"] == 0.5
    assert set(row["metrics"]) >= {"fairness_discrepancy", "target_kid"}
    assert (folder / "work/pictures/marginal-20.png").is_file()
    monkeypatch.setattr(studies.debias.unit, "trained", None)  # nothing is trained again
    main(words)
    assert capsys.readouterr().out.count("seconds") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("A:0.9,B:0.2", "adding up to 1"),
        ("A:1,B:0", "a share above 0"),
        ("A=0.9", "not of the form"),
    ],
)
def test_shares_that_make_no_sense_are_refused(words, message):
    with pytest.raises(ValueError, match=message):
        shares("--values", words)


def test_shares_are_read():
    assert shares("--values", "Ankle boot:0.1,Sneaker:0.9") == {"Ankle boot": 0.1, "Sneaker": 0.9}


class Halves:
    """A network whose bottleneck is the image, and whose decoder gives it back."""

    sigma_data, image_shape, num_classes = 0.5, (1, 1, 2), 0

    def encode(self, x, sigma, labels=None):
        from models.denoiser import Hidden

        fields = dict.fromkeys(Hidden.__dataclass_fields__)
        return Hidden(**fields | {"bottleneck": x, "sigma": sigma})

    def decode(self, hidden):
        return hidden.bottleneck


def test_a_shift_moves_by_the_difference_of_means():
    images = torch.tensor([[-1.0, 0.0], [1.0, 2.0]]).view(2, 1, 1, 2).repeat(400, 1, 1, 1)
    values = torch.tensor([0, 1]).repeat(400)
    means = class_means(Halves(), images, values, 2)
    low = means[0]  # at the lowest noise levels the bottleneck is the image
    torch.testing.assert_close(low[0].flatten(), torch.tensor([-1.0, 0.0]), atol=0.01, rtol=0)
    moved = ClassShift(Halves(), means, torch.tensor([0.5, 0.5]), 1.0)
    x, sigma = torch.zeros(2, 1, 1, 2), torch.full((2,), 0.002)
    out = moved(x, sigma, torch.tensor([0, 1])).view(2, 2)
    torch.testing.assert_close(out, torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=0.01, rtol=0)


def test_a_classifier_of_clean_images_sees_the_estimate():
    means = torch.tensor([[[[-1.0]]], [[[1.0]]]], dtype=torch.float64)
    data = GaussianMixtureDenoiser(means, 0.2, [0.9, 0.1], [0, 1])
    data.codec = type("Codec", (), {"pictures": staticmethod(lambda x: x)})()

    class Sign:
        def classify(self, x):
            flat = x.flatten(1)
            return torch.cat([flat * 0, -flat, flat], 1)

    answers = CleanAnswers(data, Sign(), ("low", "high"), [1, 2], [0.9, 0.1])
    x, sigma = torch.tensor([[[[-1.0]]], [[[1.0]]]]), torch.full((2,), 0.01)
    found = answers.log_probs(x.double(), sigma.double()).exp()
    expected = torch.sigmoid(torch.tensor([2.0, -2.0]))
    torch.testing.assert_close(found[:, 0].float(), expected, atol=1e-3, rtol=0)
    assert np.allclose(found.sum(1), 1)
