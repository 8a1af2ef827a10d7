"""Images of a denoiser without labels, on data that have some: nothing was asked for."""

import pytest
import torch

from evaluation.config import EvaluationConfig
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights
from pipelines.params import load_params
from pipelines.sweeps.objectives import reported_by_trials
from pipelines.sweeps.quick_evaluation import QuickEvaluation
from sampling.config import SamplerConfig
from studies.structure.images import Question, judge_images

SAMPLER = SamplerConfig(solver="ddim", steps=3)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    config = ModelConfig(
        channels=8,
        blocks=1,
        attention_resolutions=(),
        structural_blocks=(),
        class_conditional=False,
    )
    denoiser = Denoiser((1, 8, 8), 10, config)
    save_weights(tmp_path / "w.safetensors", denoiser.state_dict(), describe(denoiser))
    return tmp_path / "w.safetensors"


def test_a_study_reports_no_conditional_accuracy(material, weights, tmp_path):
    question = Question("arm", 0, 1.0, "few", str(weights), SAMPLER.model_dump_json())
    config = EvaluationConfig(num_images=32, floor_draws=2).model_dump_json()
    folders = str(material.dataset), str(material.reference), config
    metrics = judge_images(question, *folders, str(tmp_path / "out.json"))
    assert "kid" in metrics and "conditional_accuracy" not in metrics
    labelled = Question("arm", 0, 1.0, "few", str(material.weights), SAMPLER.model_dump_json())
    metrics = judge_images(labelled, *folders, str(tmp_path / "out.json"))
    assert "conditional_accuracy" in metrics


def test_nor_does_a_sweep(material, weights):
    settings = load_params("params.yaml").run_settings().model_dump_json()
    evaluation = QuickEvaluation(
        dataset=str(material.dataset),
        reference=str(material.reference),
        inception_path=None,
        seed=0,
        num_images=32,
        batch_size=32,
        k=5,
        settings=settings,
    )
    assert "conditional_accuracy" not in evaluation.measure(weights, SAMPLER)
    found = evaluation.measure(material.weights, SAMPLER)
    assert set(reported_by_trials()) <= found.keys() and "conditional_accuracy" in found
    assert found["density_from_floor"] != found["density"]
