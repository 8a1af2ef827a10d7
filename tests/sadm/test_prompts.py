"""Words in place of labels, from Python: what `python -m pipelines.sample --prompt` draws."""

import sys
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

import sadm
from models.config import ModelConfig
from models.denoiser import Denoiser
from pipelines import sample
from sampling.config import SamplerConfig
from sampling.stored_sampler import sampler_settings

save_words = run_path(str(Path(__file__).parents[1] / "word_weights.py"))["save_words"]
CAPTIONS = ["a red ball", "a blue box"]
FEW = SamplerConfig(
    solver="heun", grid="karras", steps=3, guidance=({"kind": "classifier_free", "weight": 2.0},)
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Untrained weights whose pictures depend on the words asked for."""
    return save_words(tmp_path_factory.mktemp("words"), CAPTIONS, lengths=(0.1, 0.2))


def draw(weights, **asked):
    return sadm.generate(weights, 4, sampler=FEW, seed=3, **asked)


def test_prompts_draw_what_the_command_draws(weights, tmp_path, monkeypatch):
    drawn = draw(weights, prompts=["blue ball", "a red box"])
    words = ["sample", str(weights), "--count", "4", "--seed", "3", "--steps", "3"]
    words += ["--prompt", "blue ball", "--prompt", "a red box", "--guide", "classifier_free=2"]
    monkeypatch.setattr(sys, "argv", [*words, "--npz", str(tmp_path / "a.npz"), "--device", "cpu"])
    sample.main()
    np.testing.assert_array_equal(drawn, np.load(tmp_path / "a.npz")["images"])


def test_captions_of_training_are_their_labels_and_a_denoiser_keeps_its_own(weights):
    denoiser = sadm.load_denoiser(weights)
    before = draw(denoiser, labels=[1, 0])
    assert (before[0] != before[1]).any()
    np.testing.assert_array_equal(draw(denoiser, prompts=CAPTIONS[::-1]), before)
    draw(denoiser, prompts="red")
    assert denoiser.label_names == tuple(CAPTIONS)
    np.testing.assert_array_equal(draw(denoiser, labels=[1, 0]), before)


def test_unknown_words_are_told_and_a_prompt_of_these_alone_is_one_line(weights):
    with pytest.warns(UserWarning, match="unknown words left out: purple"):
        found = draw(weights, prompts="purple ball")
    np.testing.assert_array_equal(found, draw(weights, prompts="ball"))
    for asked, told in (
        ({"prompts": "purple circle"}, "no word of it is among the 5"),
        ({"prompts": " "}, "an empty prompt"),
        ({"prompts": []}, "give a text"),
        ({"prompts": ["red", 3]}, "give a text"),
        ({"prompts": "red", "labels": [0]}, "give one of the two"),
    ):
        with pytest.raises(ValueError, match=told) as error:
            draw(weights, **asked)
        assert "\n" not in str(error.value)


def test_a_denoiser_of_classes_reads_no_prompts():
    config = ModelConfig(channels=8, channel_mult=(1,), structural_blocks=())
    with pytest.raises(ValueError, match="read no text"):
        draw(Denoiser((1, 8, 8), 2, config), prompts="red ball")


def test_sheets_take_prompts(weights):
    asked = {"sampler": FEW, "prompts": CAPTIONS[::-1]}
    between = sadm.interpolation_sheet(weights, 0, 1, frames=3, **asked)
    labelled = sadm.interpolation_sheet(weights, 0, 1, frames=3, sampler=FEW, labels=[1, 0])
    np.testing.assert_array_equal(between, labelled)
    for sheet in (sadm.trajectory_sheet, sadm.lengths_sheet):
        place = weights.parent if sheet is sadm.lengths_sheet else weights
        drawn, labelled = sheet(place, [0, 1], **asked), sheet(place, [0], sampler=FEW, labels=[0])
        assert drawn.height > labelled.height
        one = sheet(place, [0], sampler=FEW, prompts=CAPTIONS[0])
        np.testing.assert_array_equal(one, labelled)


def test_the_pipeline_of_diffusers_takes_prompts(weights):
    pytest.importorskip("diffusers", reason="diffusers is an optional package")
    from sadm.diffusers_pipeline import StructurePipeline

    pipe = StructurePipeline(sadm.load_denoiser(weights), sampler_settings(FEW))
    drawn = [np.asarray(image) for image in pipe(4, prompt=CAPTIONS[::-1], seed=3).images]
    np.testing.assert_array_equal(drawn, draw(weights, labels=[1, 0])[..., 0])
    with pytest.raises(ValueError, match="no word of it"):
        pipe(4, prompt="purple circle")
