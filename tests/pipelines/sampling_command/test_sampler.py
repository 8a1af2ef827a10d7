"""What a command line says about guidance: which classifier it uses, and where that comes from."""

import json

import numpy as np
import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.extractors.classifier import ClassifierExtractor
from models.weights import save_weights
from pipelines.sampling_command.arguments import command_line
from pipelines.sampling_command.sampler import chosen_sampler, classifier_note
from sampling.config import SamplerConfig
from sampling.guidance.gradient import GradientConfig
from sampling.request import GenerationRequest
from sampling.stored_sampler import INDEX, sampler_settings

OWN = SamplerConfig(solver_options={"churn": 40}, grid_options={"rho": 5})
GRADIENT = (GradientConfig(),)


def asked(classifier, guidance=GRADIENT):
    return GenerationRequest(
        sampler=SamplerConfig(guidance=guidance),
        seed=0,
        indices=[0],
        labels=np.zeros(1, np.int64),
        classifier=None if classifier is None else str(classifier),
    )


def test_the_note_names_the_classifier_and_its_origin(tmp_path):
    path = tmp_path / "classifier.safetensors"
    classifier = ClassifierExtractor((1, 8, 8), 3, 16)
    classifier.description = {"images": 120, "held_out_accuracy": 0.91}
    classifier.save(path)
    note = classifier_note(asked(path), 3)
    assert str(path) in note and "on 120 images, accuracy 0.910 on held-out ones" in note
    assert "do not judge these images by conditional accuracy" in note
    assert classifier_note(asked(None, ()), 3) is None
    with pytest.raises(ValueError, match="knows 3 classes and the denoiser 10"):
        classifier_note(asked(path), 10)


def test_weights_that_hold_no_classifier_are_refused(tmp_path):
    torch.manual_seed(0)
    config = ModelConfig(channels=8, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser((1, 8, 8), 3, config)
    save_weights(tmp_path / "0.1.safetensors", denoiser.state_dict(), describe(denoiser))
    with pytest.raises(ValueError, match="holds no classifier of images"):
        classifier_note(asked(tmp_path / "0.1.safetensors"), 3)
    with pytest.raises(ValueError, match=r"^--classifier: .*does not exist"):
        classifier_note(asked(tmp_path / "no.safetensors"), 3)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], {}),
        (["--solver", "heun"], {}),  # its own solver, which is the default and so in no file
        (["--grid-name", "karras", "--steps", "9"], {"steps": 9}),
        (["--solver", "ddim"], {"solver": "ddim", "solver_options": {}}),
        (["--solver-option", "churn=10"], {"solver_options": {"churn": 10}}),
    ],
)
def test_an_exported_folder_keeps_the_options_of_the_solver_and_grid_it_has(
    tmp_path, words, changes
):
    (tmp_path / INDEX).write_text(json.dumps({"sampler": sampler_settings(OWN)}))
    args = command_line("").parse_args([str(tmp_path), *words])
    assert chosen_sampler(args) == OWN.model_copy(update=changes)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--guide", "interval=2"],
            r"is set in the params file \(sampling.NAME.guidance, .*takes ",
        ),
        (
            ["--guide", "classifier=2"],
            "there is no kind 'classifier': did you .* --guide takes classif",
        ),
        (["--guide", "gradient=much"], "the weight must be a number, such as gradient=2"),
        (
            ["--guide", "autoguidance=2", "--guide-weights", "README.md"],
            "^--guide-weights: README.md is no .safetensors file",
        ),
    ],
)
def test_guidance_is_refused_in_the_words_of_the_command_line(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    with pytest.raises(ValueError, match=told) as refused:
        chosen_sampler(command_line("").parse_args(["w.safetensors", *words]))
    assert "guidance.0" not in str(refused.value)
