"""The public pieces from Python: docs/library.md, the notebook, and what they load."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import evaluation.classifier
import sadm
from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from evaluation.config import EvaluationConfig
from evaluation.reference import build_reference
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights
from sadm.pictures import asked

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project's folder after a tiny run: params, data set, reference, weights; and photos."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "params.yaml", folder)
    prepare_dataset(DatasetConfig(), folder / "outputs/dataset")
    data = ImageDataset(folder / "outputs/dataset")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation.classifier, "EPOCHS", 1)
        patch.setattr(evaluation.classifier, "MIN_BATCHES", 20)
        build_reference(data, EvaluationConfig(), folder / "outputs/reference")
    torch.manual_seed(0)
    config = ModelConfig(channels=8, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser(data.image_shape, data.num_classes, config)
    save_weights(folder / "outputs/ema/0.1.safetensors", denoiser.state_dict(), describe(denoiser))
    (folder / "photos").mkdir()
    for number in range(12):
        Image.fromarray(data.images[number].squeeze()).save(folder / f"photos/{number}.png")
    return folder


def test_the_page_runs_from_top_to_bottom(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/library.md").read_text(), re.S)
    assert len(blocks) == 7
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["images"].shape == (20, 8, 8, 1) and names["images"].dtype == np.uint8
    for name in ("samples", "trajectory", "between"):
        assert np.asarray(Image.open(f"{name}.png")).std() > 5
    assert not np.array_equal(names["images"], names["fast"])
    assert float(names["pixels"].std()) == pytest.approx(0.5, rel=0.05)
    assert "KID" in capsys.readouterr().out and names["result"]["num_real"] == 12


def test_the_notebook_runs(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    notebook = json.loads((ROOT / "examples/library.ipynb").read_text())
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "kept without outputs"
            exec("".join(cell["source"]), names)
    assert names["images"].shape == names["few"].shape == (40, 8, 8, 1)
    assert capsys.readouterr().out.count("real against real") == 2


def test_pictures_depend_on_seed_number_and_label(project):
    weights = project / "outputs/ema/0.1.safetensors"
    few = sadm.SamplerConfig(steps=2)
    whole = sadm.generate(weights, 5, sampler=few, labels=[1, 2], seed=3)
    part = sadm.generate(weights, 3, sampler=few, labels=[1, 2], seed=3, batch_size=1)
    assert np.abs(whole[:3].astype(int) - part).max() <= 1
    in_turn = sadm.generate(weights, 12, sampler=few, seed=3)
    given = sadm.generate(weights, 12, sampler=few, seed=3, labels=range(10))
    np.testing.assert_array_equal(in_turn, given)
    with pytest.raises(ValueError, match=r"labels \[10\]: this denoiser knows 0 to 9, and -1"):
        sadm.generate(weights, 1, labels=[3, 10])


@pytest.fixture(scope="module")
def fruit(tmp_path_factory):
    """Weights of two named classes."""
    torch.manual_seed(1)
    config = ModelConfig(channels=8, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser((1, 8, 8), 2, config)
    with torch.no_grad():
        denoiser.unet.output_gain.fill_(1.0)
    path = tmp_path_factory.mktemp("fruit") / "w.safetensors"
    described = describe(denoiser) | {"label_names": ["green pear", "red apple"]}
    save_weights(path, denoiser.state_dict(), described)
    return path


def test_classes_may_be_named(fruit):
    few = sadm.SamplerConfig(steps=2)
    _, request = asked(fruit, range(4), few, 0, ["red apple", 0, np.int64(-1)])
    assert request.labels.tolist() == [1, 0, -1, 1]
    assert sadm.generate(fruit, 2, sampler=few, labels=["red apple"]).shape == (2, 8, 8, 1)
    rows = sadm.interpolation_sheet(fruit, 0, 1, sampler=few, labels=["red apple"], frames=3)
    same = sadm.interpolation_sheet(fruit, 0, 1, sampler=few, labels=np.asarray([1]), frames=3)
    np.testing.assert_array_equal(np.asarray(rows), np.asarray(same))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"labels": ["red aple"]}, "unknown class 'red aple': did you mean 'red apple'"),
        ({"labels": "red apple"}, r"give a list, such as labels=\['red apple'\]"),
        ({"labels": 1}, r"give a list, such as labels=\[1\]"),
        ({"labels": [0, 1.5]}, r"labels \[1.5\]: this denoiser knows 0 to 1, and -1"),
        ({"labels": [True]}, r"labels \[True\]: this denoiser knows"),
        ({"labels": []}, "this denoiser knows 0 to 1"),
        ({"sampler": "few5"}, r"sampler 'few5': give a sadm.SamplerConfig, such as .*load_params"),
        ({"sampler": {"steps": 3}}, "give a sadm.SamplerConfig"),
        ({"count": "3"}, "count '3': give a whole number"),
        ({"count": 0}, "count 0: give a whole number of pictures, at least 1"),
        ({"denoiser": 7}, "denoiser 7: give what sadm.load_denoiser returns"),
    ],
)
def test_other_arguments_are_refused_in_one_clear_line(fruit, arguments, told):
    with pytest.raises(ValueError, match=told):
        sadm.generate(**({"denoiser": fruit, "count": 1} | arguments))


def test_every_public_name_is_there():
    assert set(sadm.__all__) == set(sadm.WHERE) <= set(dir(sadm))
    for name in sadm.__all__:
        assert callable(getattr(sadm, name)), name
    with pytest.raises(AttributeError, match="did you mean 'generate'"):
        sadm.generat  # noqa: B018


def test_neither_ray_nor_mlflow_nor_dvc_is_loaded():
    text = (
        "import sys, sadm; before = 'torch' in sys.modules; "
        "[getattr(sadm, name) for name in sadm.__all__]; "
        "print(before, [name for name in ('ray', 'mlflow', 'dvc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "False []", done.stderr
