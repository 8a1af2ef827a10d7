"""A folder of generated images holds those of one model, sampler and seed."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from sampling.config import SamplerConfig
from sampling.drawn_with import check_folder, drawn_with, png_text
from sampling.guidance.autoguidance import AutoguidanceConfig
from sampling.guidance.classifier_free import ClassifierFreeConfig
from sampling.request import GenerationRequest


@pytest.fixture
def ema(tmp_path):
    """Files that stand for weights of two EMA lengths."""
    folder = tmp_path / "ema"
    folder.mkdir()
    for name in ("0.1", "0.2"):
        (folder / f"{name}.safetensors").write_text(name)
    return folder


def request(weights, seed=0, batch_size=256, classifier=None, **sampler):
    labels = np.zeros(1, np.int64)
    settings = SamplerConfig(**sampler)
    return GenerationRequest(
        sampler=settings,
        seed=seed,
        indices=[0],
        labels=labels,
        batch_size=batch_size,
        weights=str(weights),
        classifier=classifier,
    )


def test_content_settings_and_seed_count_and_places_do_not(ema, tmp_path):
    first = drawn_with(request(ema / "0.1.safetensors"))
    assert drawn_with(request(ema / "0.1.safetensors", batch_size=3)) == first
    shutil.copytree(ema, tmp_path / "moved")
    moved = drawn_with(request(tmp_path / "moved" / "0.1.safetensors"))
    assert moved == first == json.loads(json.dumps(first))
    guide = AutoguidanceConfig(weight=2.0, length=0.2)
    others = [
        request(ema / "0.2.safetensors"),
        request(ema / "0.1.safetensors", seed=1),
        request(ema / "0.1.safetensors", steps=3),
        request(ema / "0.1.safetensors", classifier=str(ema / "0.2.safetensors")),
        request(ema / "0.1.safetensors", guidance=(ClassifierFreeConfig(weight=2.0),)),
        request(ema / "0.1.safetensors", guidance=(guide,)),
    ]
    found = [drawn_with(other) for other in others]
    (ema / "0.2.safetensors").write_text("trained anew")
    found.append(drawn_with(others[-1]))
    assert all(one != two for i, one in enumerate(found) for two in [first, *found[:i]])


def test_a_folder_takes_images_of_the_same_generation_only(ema, tmp_path):
    facts = drawn_with(request(ema / "0.1.safetensors"))
    out = tmp_path / "out"
    check_folder(out, facts)
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    check_folder(out, facts)
    image = Image.new("L", (4, 4))
    image.save(out / "000000.png", pnginfo=png_text(facts))
    check_folder(out, facts)
    check_folder(out, facts | {"file": "renamed.safetensors"})
    told = {
        r"000000\.png \(drawn with other weights, 0\.1\.safetensors\)": {"weights": "f" * 16},
        r"\(drawn with seed 0, not 7\): name a new or empty folder": {"seed": 7},
        r"\(drawn with solver heun, not ddim, steps 18, not 5\)": {"solver": "ddim", "steps": 5},
        r"\(drawn with batch_size not set, not 8\)": {"batch_size": 8},
    }
    for message, changes in told.items():
        with pytest.raises(ValueError, match=message) as error:
            check_folder(out, facts | changes)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"notes\.txt is a file: name a folder"):
        check_folder(out / "notes.txt", facts)


@pytest.mark.parametrize("name", ["a.png", "b.JPG", "broken.png", "odd.png"])
def test_images_of_another_origin_are_refused(ema, tmp_path, name):
    facts = drawn_with(request(ema / "0.1.safetensors"))
    path = tmp_path / "out" / name
    path.parent.mkdir()
    if name == "broken.png":
        path.write_text("no image")
    elif name == "odd.png":
        Image.new("L", (4, 4)).save(path, pnginfo=png_text([facts]))
    else:
        Image.new("L", (4, 4)).save(path)
    with pytest.raises(ValueError, match=rf"such as {name} \(of another origin\): name a new"):
        check_folder(path.parent, facts)
