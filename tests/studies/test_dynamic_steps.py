"""The study of chosen steps: equal evaluations, rows that stand, its table."""

import json

import pytest
import torch

from models.analytic import GaussianDenoiser
from sampling.seeds import image_generators, image_noise
from studies import dynamic_steps
from studies.sampling import subjects


def gaussian(images):
    denoiser = GaussianDenoiser((1, 1, 2), std=0.5)
    yield subjects.Subject(
        "2-D, gaussian", denoiser, image_noise(image_generators(0, range(images)), (1, 1, 2))
    )


def test_rows_are_made_once_and_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(subjects, "mixtures", gaussian)
    ways = {name: dynamic_steps.FIXED[name] for name in ("heun karras", "unipc-2 log_snr")}
    monkeypatch.setattr(dynamic_steps, "FIXED", ways)
    words = ["--nfe", "21", "--images", "8", "--out", str(tmp_path), "--grid-cache", str(tmp_path)]
    dynamic_steps.main(words)
    (file,) = tmp_path.glob("*.json")
    row = json.loads(file.read_text())
    assert set(row["rmse"]) == {*ways, "adaptive_heun"}
    assert abs(row["own"]["mean"] - 21) <= 1 and row["own"]["least"] < 21 < row["own"]["most"]
    assert row["rmse"]["adaptive_heun"] < row["rmse"]["heun karras"]
    assert f"| **{min(row['rmse'].values()):.2g}** |" in capsys.readouterr().out
    monkeypatch.setattr(dynamic_steps, "measured", lambda *_: pytest.fail("computed again"))
    dynamic_steps.main(words)
    dynamic_steps.main(["--list", "--out", str(tmp_path)])
    assert "2-D, gaussian" in capsys.readouterr().out


def test_all_ways_make_the_same_number_of_evaluations():
    (subject,) = gaussian(4)
    images, own = dynamic_steps.at_mean(subject, 25)
    assert abs(own["mean"] - 25) <= 1 and images.shape == (4, 1, 1, 2)
    again, calls = dynamic_steps.adaptive(subject, own["tolerance"])
    assert calls.mean() == own["mean"] or abs(calls.mean() - 25) <= 2
    torch.testing.assert_close(again, images, rtol=0.05, atol=0.01)
