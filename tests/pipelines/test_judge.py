"""The command that judges a folder of images."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from evaluation.config import EvaluationConfig
from evaluation.judge import judge
from evaluation.reference import build_reference, load_reference
from pipelines import judge as command
from pipelines.console.command import run_stage


def typed(monkeypatch, *words):
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setattr(sys, "argv", ["judge", *map(str, words)])
    run_stage(command.main)


def pictures(folder, count, seed, shape=(8, 8)):
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
    for index, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f"{index:03d}.png")
    return pixels


def test_two_folders_give_a_table_and_a_file(tmp_path, monkeypatch, capsys):
    pictures(tmp_path / "real", 12, 0, (20, 24, 3))
    pictures(tmp_path / "made", 6, 1, (16, 16, 3))
    (tmp_path / "made" / "cut.png").write_bytes(b"x")
    out = tmp_path / "out" / "judged.json"
    words = (tmp_path / "made", tmp_path / "real", "--draws", 2, "--k", 2, "--json", out)
    typed(monkeypatch, *words)
    said = capsys.readouterr().out
    assert "6 images; n = 6" in said and "FD-EffNetLite0, all images" in said
    assert "Coverage" in said and "near its floor" in said
    assert "made: 1 file could not be read, the first cut.png: not an image" in said
    assert "note: the generated images are 16x16 and the real ones 24x20: the metrics" in said
    assert "note: n = 6 is not above the 1280 features" in said
    kept = json.loads(out.read_text())
    assert len(kept["notes"]) == 2
    assert kept["metrics"]["fd"].keys() == {"value", "std", "floor", "floor_std"}
    assert kept["metrics"]["fd_full"]["value"] > 0 and kept["num_real"] == 12
    assert kept["protocol"]["extractor"] == "efficientnet_lite0"


def test_a_file_that_cannot_be_written_is_told_first(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"--json .* is a folder: name a file"):
        typed(monkeypatch, tmp_path / "made", tmp_path / "real", "--json", tmp_path)


def test_a_reference_judges_by_its_own_network(tmp_path, monkeypatch, capsys, labelled):
    build_reference(labelled, EvaluationConfig(), tmp_path / "reference")
    pixels = pictures(tmp_path / "made", 30, 3)
    out = tmp_path / "judged.json"
    typed(monkeypatch, tmp_path / "made", tmp_path / "reference", "--draws", 3, "--json", out)
    assert "FD-Classifier to all training images" in capsys.readouterr().out
    reference = load_reference(tmp_path / "reference")
    config = EvaluationConfig(floor_draws=3)
    expected = judge(pixels[..., None], None, reference, config, 0)["metrics"]
    found = json.loads(out.read_text())["metrics"]
    assert found.keys() == expected.keys()
    for name, entry in found.items():
        assert entry == pytest.approx(expected[name], rel=1e-4), name


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere", "real"], "nowhere does not exist: name a folder or a zip of images"),
        (["real", "real", "--k", "0"], "k"),
        (["real", "real", "--extractor", "inception"], "name by --inception the file"),
        (["real", "empty"], "empty holds no images"),
    ],
)
def test_what_cannot_be_judged_is_one_line(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "real", 4, 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as error:
        typed(monkeypatch, *words)
    assert said in str(error.value) and "Traceback" not in str(error.value)


@pytest.fixture
def labelled(monkeypatch):
    """Grey images of two classes, and a classifier that is trained for a few steps."""
    from types import SimpleNamespace

    import evaluation.classifier

    monkeypatch.setattr(evaluation.classifier, "EPOCHS", 1)
    monkeypatch.setattr(evaluation.classifier, "MIN_BATCHES", 4)
    images = np.random.default_rng(5).integers(0, 256, (90, 8, 8, 1), np.uint8)
    return SimpleNamespace(
        images=images,
        labels=np.arange(90) % 2,
        train_indices=np.arange(50),
        held_out_indices=np.arange(50, 90),
        image_shape=(1, 8, 8),
        num_classes=2,
        content_hash="noise",
    )
