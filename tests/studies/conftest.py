"""A prepared data set, its reference and untrained weights, made once for all studies."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

import evaluation.classifier
from dataset.config import DatasetConfig
from dataset.prepare import prepare_dataset
from dataset.store import ImageDataset
from evaluation.config import EvaluationConfig
from evaluation.reference import build_reference
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights


@pytest.fixture(scope="session")
def material(tmp_path_factory) -> SimpleNamespace:
    """folders dataset, reference and ema (two lengths of one untrained denoiser)."""
    folder = tmp_path_factory.mktemp("study")
    prepare_dataset(DatasetConfig(), folder / "dataset")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation.classifier, "EPOCHS", 1)
        build_reference(ImageDataset(folder / "dataset"), EvaluationConfig(), folder / "reference")
    for length in ("0.05", "0.1", "other/0.1"):
        torch.manual_seed(int(length.startswith("other")))
        config = ModelConfig(channels=8, blocks=1, attention_resolutions=(), structural_blocks=())
        denoiser = Denoiser((1, 8, 8), 10, config)
        for name, parameter in denoiser.named_parameters():
            if name.endswith("gain"):  # zero at first, which would hide labels and all else
                torch.nn.init.constant_(parameter, 0.5)
        path = folder / "ema" / f"{length}.safetensors"
        save_weights(path, denoiser.state_dict(), describe(denoiser))
    return SimpleNamespace(
        dataset=folder / "dataset",
        reference=folder / "reference",
        ema=folder / "ema",
        weights=Path(folder / "ema" / "0.1.safetensors"),
    )


@pytest.fixture(scope="module")
def few_steps(material, tmp_path_factory):
    """few_steps(structure): arguments of a study with these settings, and a sampler `few`."""

    def arguments(structure: dict) -> list[str]:
        raw = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
        raw["structure"] |= {"width": 16, "batch_size": 32, "gamma": 0.1, "lr": 0.005, **structure}
        raw["sampling"] = {"few": {"solver": "ddim", "grid": "karras", "steps": 3}}
        raw["samplers"] = ["few"]
        path = tmp_path_factory.mktemp("params") / "params.yaml"
        path.write_text(yaml.safe_dump(raw))
        return [str(material.weights), "--params", str(path), "--dataset", str(material.dataset)]

    return arguments
