"""Drawing captions, and whether pictures follow them when the noise is swapped."""

import json
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import evaluation.reference
import sadm
from sampling.config import SamplerConfig
from studies.emoji import words

save_words = run_path(str(Path(__file__).parents[2] / "word_weights.py"))["save_words"]
CAPTIONS = ["a red ball", "a blue box", "a red box"]
FEW = {"solver": "heun", "grid": "karras", "steps": 3}
COLOURS = {"light": (240, 208, 16), "medium": (176, 112, 16), "dark": (80, 48, 16)}
SHAPES = {"bar": np.s_[4:20, 8:56], "pole": np.s_[4:60, 8:20], "dot": np.s_[40:56, 40:56]}
HELD_OUT = list(zip(SHAPES, COLOURS, strict=True))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Untrained weights whose pictures depend on the words asked for."""
    return save_words(tmp_path_factory.mktemp("words"), CAPTIONS)


@pytest.fixture
def emoji(tmp_path, monkeypatch):
    """Three shapes in three colours, a pair of each held out; features are the shape."""

    def features(images):
        return (images.min(-1) < 128).reshape(len(images), -1).astype(np.float32)

    extractor = SimpleNamespace(features=features)
    monkeypatch.setattr(
        evaluation.reference, "load_reference", lambda _: SimpleNamespace(extractor=extractor)
    )
    sides = {"train": [], "held_out": []}
    for base, place in SHAPES.items():
        for tone, colour in COLOURS.items():
            side = "held_out" if (base, tone) in HELD_OUT else "train"
            pixels = np.full((64, 64, 3), 255, np.uint8)
            pixels[place] = colour
            file = tmp_path / ("tones" if side == "train" else side) / tone / f"{base}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
            text = f"{base}: {tone}"
            one = {"file": file.name, "text": text, "base": base, "tone": tone}
            sides[side].append(one)
    (tmp_path / "words.json").write_text(json.dumps(sides))
    return tmp_path


def test_captions_are_drawn_with_guidance_as_from_python(weights):
    drawn = words.draw(weights, CAPTIONS, range(3), FEW)
    guided = SamplerConfig(**FEW, guidance=({"kind": "classifier_free", "weight": words.GUIDANCE},))
    for sampler, same in ((guided, True), (SamplerConfig(**FEW), False)):
        other = sadm.generate(weights, 3, sampler=sampler, seed=words.NOISE_SEED, prompts=CAPTIONS)
        assert (drawn == other).all() == same


def test_a_picture_depends_on_its_caption_and_the_number_of_its_noise_alone(weights):
    drawn = words.draw(weights, CAPTIONS, range(3), FEW)
    swapped = words.draw(weights, CAPTIONS, np.roll(np.arange(3), 1), FEW)
    turned = words.draw(weights, np.roll(CAPTIONS, -1).tolist(), range(3), FEW)
    far = np.abs(np.roll(turned, 1, axis=0).astype(int) - swapped).max()
    assert far <= 1  # rounding
    assert (drawn != swapped).any((1, 2, 3)).all() and (drawn != turned).any((1, 2, 3)).all()


@pytest.mark.parametrize("follows", [True, False])
def test_swapped_pictures_are_scored_against_the_caption_and_the_owner_of_the_noise(
    emoji, monkeypatch, follows
):
    def draw(weights, texts, numbers, sampler):
        """Pictures of the captions, or of the captions that own the noise."""
        shown = texts if follows else [texts[number] for number in numbers]
        pairs = [text.split(": ") for text in shown]
        return words.pictures([emoji / "held_out" / tone / f"{base}.png" for base, tone in pairs])

    monkeypatch.setattr(words, "draw", draw)
    scores = words.scored(emoji, emoji, FEW)["scores"]
    assert set(words.SHOWN) == set(scores)
    for name in ("tone", "base", "both", "tone_real", "base_real"):
        assert scores[name] == 1
    for name in ("tone", "base"):
        assert scores[f"{name}_swapped"] == follows and scores[f"{name}_owner"] == (not follows)
