"""The study of shares in the small: every arm gives a row, and a row stands."""

import json

import numpy as np
import pytest
import torch
import yaml

import evaluation.classifier
import studies.debias.controls
import studies.debias.unit
import training.attributes.predictor
from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from models.analytic import GaussianMixtureDenoiser
from models.attribute_predictor import BINS
from studies.debias import posterior
from studies.debias.__main__ import main, shares
from studies.debias.arms import ARMS
from studies.debias.controls import ClassShift, CleanAnswers, class_means
from studies.debias.unit import GENERATION_SEED
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
    monkeypatch.setattr(studies.debias.controls, "DRAWS", 1)
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
    return tmp_path, [*words, "--seeds", "21"]


def test_every_arm_has_a_row_that_stands(small, capsys, monkeypatch):
    folder, words = small
    seeds, drawn = set(), studies.debias.unit.generate_batches

    def watched(denoiser, request, **rest):
        seeds.add(request.seed)
        return drawn(denoiser, request, **rest)

    monkeypatch.setattr(studies.debias.unit, "generate_batches", watched)
    main(words)
    table = capsys.readouterr().out
    assert all(f"| {name} |" in table for name in ARMS)
    assert seeds == {GENERATION_SEED + 21}
    data = "375_725"
    rows = {file.name: file.read_text() for file in (folder / "rows").iterdir()}
    assert len(rows) == len(ARMS) and f"{data}-unguided-21.json" in rows
    row = json.loads(rows[f"{data}-marginal-1.15-21.json"])
    assert row["shares"]["3"]["wanted"] == 0.5
    assert set(row["metrics"]) >= {"fairness_discrepancy", "target_kid"}
    assert (folder / f"work/pictures/{data}-marginal-1.15-21.png").is_file()
    fingerprints = {name: json.loads(text)["fingerprint"] for name, text in rows.items()}
    assert len(set(fingerprints.values())) == len(rows)  # the bank is part of it
    main([*words, "--arms", "unguided,marginal", "--weight", "2"])
    assert f"| {data} | marginal | 2 | 1 |" in capsys.readouterr().out
    assert {file.name for file in (folder / "rows").iterdir()} - set(rows) == {
        f"{data}-marginal-2-21.json"
    }
    assert all((folder / "rows" / name).read_text() == text for name, text in rows.items())
    weights = next((folder / "work/runs").glob("plain-21-*/snapshots/*-0.1.safetensors"))
    own = [*words[:2], *words[4:8], *words[10:12], *words[14:20]]
    posterior.main([*own, "--weights", str(weights)])
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 3 + len(posterior.SIGMAS) and table[2].startswith("| 0.5 |")
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


class Recording(Halves):
    """Halves that keep what they are asked."""

    def __init__(self):
        self.asked = []

    def encode(self, x, sigma, labels=None):
        self.asked.append((x.clone(), sigma.clone()))
        return super().encode(x, sigma, labels)


def test_the_means_of_few_images_differ_as_the_classes_at_the_highest_noise():
    images = torch.tensor([[-1.0, 0.0], [1.0, 2.0], [1.0, 2.0]]).view(3, 1, 1, 2)
    network = Recording()
    means = class_means(network, images, torch.tensor([0, 1, 1]), 2)
    difference = (means[:, 1] - means[:, 0]).flatten(1)  # [BINS, 2], free of noise up to 80
    torch.testing.assert_close(difference, torch.full((BINS, 2), 2.0), atol=1e-3, rtol=0)
    first = torch.stack([x[0] for x, _ in network.asked]).flatten(1)
    assert len(first.unique(dim=0)) == len(network.asked) >= 16 * BINS
    assert all(len(sigma.unique()) == 1 for _, sigma in network.asked)


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
