"""python -m pipelines.export: a folder with a card that claims only what was measured."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

import sadm
from evaluation.pictures import sample_grid
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import file_hash, save_weights
from pipelines import export, sample
from pipelines.reporting.stage_outputs import ResultsError
from pipelines.sharing.model_card import _what
from sampling.config import SamplerConfig
from sampling.stored_sampler import load_sampler

FEW = {"solver": "unipc", "steps": 3, "solver_options": {"order": 3}}
GUIDED = {"guidance": [{"kind": "autoguidance", "weight": 2.0, "length": 0.1}]}
NAMES = ["cat", "dog", "ox"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A project's folder after a run of two lengths; exports from it with some words."""
    monkeypatch.chdir(tmp_path)
    params = {
        "ema": {"lengths": [0.05, 0.1]},
        "sampling": {"few": FEW, "guided": GUIDED},
        "samplers": ["few"],
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    for seed, (length, kid) in enumerate((("0.05", 0.02), ("0.1", 0.01))):
        torch.manual_seed(seed)
        config = ModelConfig(
            channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
        )
        denoiser = Denoiser((1, 8, 8), 3, config, label_names=NAMES)
        with torch.no_grad():
            denoiser.unet.output_gain.fill_(1.0)
        weights = tmp_path / f"outputs/ema/{length}.safetensors"
        description = describe(denoiser) | {"sigma_rel": float(length), "nimg": 4096}
        save_weights(weights, denoiser.state_dict(), description)
        folder = tmp_path / f"outputs/evaluate/{length}-few"
        folder.mkdir(parents=True)
        item = {
            "item": folder.name,
            "ema_length": float(length),
            "sampler": "few",
            "weights_sha256": file_hash(weights),
            "nfe": 3,
            "num_images": 64,
            "n": 32,
            "metric_name": "FD-Classifier",
            "metrics": {
                "kid": {"value": kid, "std": 0.002, "floor": 0.0012, "floor_std": 0.0005},
                "fd": {"value": 16.9, "std": 2.2e-14, "floor": 3.25, "floor_std": 0.1},
            },
            "protocol": {"extractor": "classifier", "draws": 20, "k": 5, "seed": 0, "notes": []},
        }
        (folder / "metrics.json").write_text(json.dumps(item))
        sample_grid(np.full((4, 8, 8, 1), 90, np.uint8)).save(folder / "samples.png")
    data = {"source": "image_folder", "path": str(tmp_path / "private"), "num_images": 120}
    data |= {"num_train": 90, "num_held_out": 30, "resolution": 8, "class_counts": [60, 40, 20]}
    (tmp_path / "outputs/dataset").mkdir()
    (tmp_path / "outputs/dataset/dataset.json").write_text(json.dumps(data))
    (tmp_path / "outputs/train").mkdir()
    train = {"total_nimg": 4096, "num_parameters": 1234567, "structure_kind": "graph"}
    (tmp_path / "outputs/train/train.json").write_text(json.dumps(train))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["export", *words])
        export.main()
        return (tmp_path / words[1] / "README.md").read_text()

    return run


def test_the_best_length_is_shared_and_loads_by_its_name(run, tmp_path, monkeypatch, capsys):
    run("--out", "shared/toy")
    told = capsys.readouterr().out
    assert "EMA length 0.1, judged with few, the lowest KID of 2 items" in told
    files = {
        str(p.relative_to(tmp_path / "shared/toy")) for p in tmp_path.glob("shared/toy/**/*.*")
    }
    assert files == {
        *("README.md", "samples.png", "model_index.json", "pipeline.py"),
        *(f"denoiser/{name}" for name in ("denoiser.safetensors", "denoiser.json", "loader.py")),
    }
    few = SamplerConfig(**FEW)
    assert load_sampler("shared/toy") == few != load_sampler("outputs/ema/0.1.safetensors")
    there = sadm.generate("outputs/ema/0.1.safetensors", 5, sampler=few)
    np.testing.assert_array_equal(sadm.generate("shared/toy", 5), there)
    loaded = sadm.load_denoiser("shared/toy")
    assert loaded.label_names == tuple(NAMES)
    words = ["sample", "shared/toy", "--count", "5", "--npz", "a.npz", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", words)
    sample.main()
    np.testing.assert_array_equal(np.load("a.npz")["images"], there)


@pytest.mark.parametrize(
    ("rank", "adapter", "told"),
    [
        (0, False, "with the graph structure game beside it; EMA"),
        (8, True, "with the adapter that the graph structure game trained; EMA"),
        (8, False, "without a game (the file also holds an adapter that the graph structure game "),
    ],
)
def test_the_card_says_whether_the_sampler_uses_the_adapter_of_the_game(rank, adapter, told):
    item = SimpleNamespace(ema_length=0.1)
    description = {"image_shape": [1, 8, 8], "num_classes": 0, "nimg": 4096}
    facts = SimpleNamespace(
        description=description | {"config": {"adapter_rank": rank}},
        dataset={},
        train={"structure_kind": "graph", "num_parameters": 12},
        sampler={"adapter": True} if adapter else {},
        companions=(),
        item=item,
    )
    assert told in _what(facts)


def test_the_card_says_what_was_measured_and_leaves_the_licence_open(run, tmp_path, capsys):
    card = run("--out", "toy", "--length", "0.05")
    assert "| KID | 0.0200 ± 0.0020 | 0.00120 ± 0.00050 | lower |" in card
    assert "| FD-Classifier | 16.9 | 3.25 ± 0.10 | lower |" in card  # no deviation of 1e-14
    assert "64 images were drawn (few: 3 evaluations each)" in card
    assert "compares 32 of them with 32 held-out real images" in card and "20 random draws" in card
    assert "8x8 grey images in 3 classes" in card and "EMA length 0.05" in card
    assert "1,234,567 parameters, trained on 4,096 images" in card and "graph structure" in card
    assert "120 images at 8x8: 90 for training, 30 held out" in card
    assert "cat (60), dog (40), ox (20)" in card
    assert "license:" not in card and card.count("TO BE FILLED IN") == 2
    assert capsys.readouterr().out.count("still open in the card: TO BE FILLED IN") == 2
    for path in tmp_path.glob("toy/**/*.*"):
        assert str(tmp_path).encode() not in path.read_bytes(), path  # no path of this machine


@pytest.mark.parametrize(
    ("licence", "head"), [("cc-by-4.0", "license: cc-by-4.0"), ("Ask us first.", "license: other")]
)
def test_a_given_licence_is_the_one_that_stands_there(run, capsys, licence, head):
    card = run("--out", "toy", "--licence", licence, "--data", "Photos of ours.", "--title", "Pets")
    assert card.startswith("---\n") and yaml.safe_load(card.split("---")[1])["license"] in head
    assert head in card and f"{licence}, as given by" in card
    assert "# Pets" in card and "Photos of ours." in card
    assert "TO BE FILLED IN" not in card + capsys.readouterr().out


def test_the_card_shows_code_that_runs(run):
    blocks = re.findall(r"```python\n(.*?)```", run("--out", "toy"), re.S)
    assert len(blocks) == 2 and "DiffusionPipeline.from_pretrained" in blocks[1]
    names: dict = {}
    exec(blocks[0].replace("FOLDER", "toy"), names)
    assert names["images"].shape == (16, 8, 8, 1)


def test_the_page_runs(run, tmp_path, monkeypatch):
    page = (Path(__file__).parents[3] / "docs/sharing.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 3 and "DiffusionPipeline" in blocks[1]
    run("--out", "shared/digits")
    names: dict = {}
    exec(blocks[0], names)
    assert names["images"].shape == (16, 8, 8, 1) and names["sampler"] == SamplerConfig(**FEW)
    pytest.importorskip("diffusers", reason="diffusers is an optional package")
    from diffusers.utils import dynamic_modules_utils

    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    exec(blocks[1].replace("[3]", "[1]") + blocks[2], names)
    assert len(names["pictures"]) == 64 and Path("three.png").is_file()


def test_what_cannot_be_shared_is_refused_before_anything_is_written(run, tmp_path):
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    for words, told in (
        (("--length", "0.2"), r"--length 0\.2: ema\.lengths has 0\.05, 0\.1"),
        (("--sampler", "no"), "--sampler no: samplers has few"),
    ):
        with pytest.raises(ValueError, match=told):
            run("--out", "toy", *words)
    (tmp_path / "outputs/evaluate/0.1-few").rename("outputs/evaluate/0.1-guided")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"samplers": ["guided"]}))
    text = (tmp_path / "outputs/evaluate/0.1-guided/metrics.json").read_text()
    text = text.replace('"sampler": "few"', '"sampler": "guided"')
    (tmp_path / "outputs/evaluate/0.1-guided/metrics.json").write_text(text)
    with pytest.raises(ValueError, match="guided is guided by another network"):
        run("--out", "toy", "--length", "0.1")
    with pytest.raises(ResultsError, match=r"metrics.json is missing: run `dvc repro evaluate`"):
        run("--out", "toy", "--length", "0.05")
    assert not (tmp_path / "toy").exists()


def test_metrics_of_other_weights_are_not_claimed(run, tmp_path):
    other, judged = (tmp_path / f"outputs/ema/{length}.safetensors" for length in ("0.05", "0.1"))
    judged.write_bytes(other.read_bytes())
    judged.with_suffix(".json").write_bytes(other.with_suffix(".json").read_bytes())
    with pytest.raises(ResultsError, match=r"0\.1-few judges other weights than outputs/ema/0\.1"):
        run("--out", "toy", "--length", "0.1")
    assert not (tmp_path / "toy").exists()


def test_a_filled_in_card_is_never_overwritten(run, tmp_path):
    run("--out", "toy")
    (tmp_path / "toy/README.md").write_text("mine")
    with pytest.raises(ValueError, match="--out toy holds files: name a new folder"):
        run("--out", "toy")
    assert (tmp_path / "toy/README.md").read_text() == "mine"
