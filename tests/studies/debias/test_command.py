"""The command that the documentation names, its options and the names of its rows."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import studies.debias.__main__
import studies.debias.unit
from dataset.store import ImageDataset
from pipelines.params import load_params
from studies.debias import tones
from studies.debias.__main__ import data_name, main, shares
from studies.debias.arms import ARMS, row_name
from studies.debias.data import skewed
from studies.debias.unit import Given, settings_of
from studies.staged import ROOT
from training.learning_rates import learning_rate

VALUES = ["--values", "Sneaker:0.9,Ankle boot:0.1", "--target", "Sneaker:0.5,Ankle boot:0.5"]


def documented() -> list[str]:
    """The arguments of the command in docs/steering.md."""
    text = (ROOT / "docs/steering.md").read_text()
    found = re.search(r"python -m studies\.debias( .*?)```", text, re.DOTALL)
    assert found is not None
    return shlex.split(found[1].replace("\\\n", " "))


def test_fashion_mnist_has_the_images_that_the_documented_command_asks_for(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(studies.debias.__main__, "run", lambda options, names: seen.append(options))
    main([*documented(), "--rows", str(tmp_path)])
    (options,) = seen
    source = SimpleNamespace(
        group_names=["Sneaker", "Ankle boot"], group_labels=np.repeat([0, 1], 6000)
    )
    _, split = skewed(
        source, shares("--values", options.values), options.train_images, options.held_out
    )
    assert (split == 0).sum() == 5000 and (split == 1).sum() == 3000
    assert options.images == 4096


@pytest.fixture
def units(tmp_path, monkeypatch):
    """The units that a command asks for: main's arguments -> [(name of the row, arm)]."""
    found: list = []

    def unit(given, name, arm, seed):
        found.append((row_name(given.data, name, arm, seed), arm))
        return {"metrics": {k: {"value": 0.0} for k in ("fairness_discrepancy", "target_kid")}}

    monkeypatch.setattr(studies.debias.unit, "unit", unit)

    def asked(*words):
        found.clear()
        main([*VALUES, "--rows", str(tmp_path), *words])
        return list(found)

    return asked


def test_weights_and_data_sets_have_rows_of_their_own(units):
    runs = [
        units("--weight", "2"),
        units("--weight", "2.5"),
        units("--weight", "2", "--data", "tones"),
    ]
    plain = {name for name, arm in ARMS.items() if arm.weight is None}
    assert plain == {"unguided", "resampled", "conditional"}
    names = [{name for name, _ in run} for run in runs]
    shared = {f"sneaker90_ankle_boot10-{name}-{seed}" for name in plain for seed in (21, 22, 23)}
    assert names[0] & names[1] == shared and not names[0] & names[2]
    assert "sneaker90_ankle_boot10-marginal-2.5-22" in names[1]
    assert "tones-marginal-2-22" in names[2]


def test_a_weight_leaves_arms_without_guidance_as_they_are(units):
    own, other = (dict(units(*words)) for words in ((), ("--weight", "3")))
    for name in own.keys() & other.keys():
        assert own[name] == other[name]
    assert {arm.weight for arm in other.values()} == {None, 3.0}


def test_a_name_that_is_no_part_of_a_file_name_is_refused():
    with pytest.raises(ValueError, match="give letters, digits"):
        data_name("../tones-1", {"A": 1.0})


def test_tones_have_their_own_shares_and_need_the_emoji(tmp_path, capsys, monkeypatch):
    where = ["--tones", str(tmp_path), "--rows", str(tmp_path), "--work", str(tmp_path / "work")]
    with pytest.raises(SystemExit):
        main(where)
    assert "python -m studies.emoji.install makes it" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--rows", str(tmp_path)])
    assert "--values and --target: name the shares of both" in capsys.readouterr().err
    colours = np.random.default_rng(0).integers(0, 255, (5, 40, 16, 16, 3), dtype=np.uint8)
    for name, own in zip(shares("--values", tones.VALUES), colours, strict=True):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for number, image in enumerate(own):
            Image.fromarray(image).save(tmp_path / f"tones/{name}/{number}.png")
    given = []

    def unit(settings, name, arm, seed):
        given.append(settings)
        return {"metrics": {k: {"value": 0.0} for k in ("fairness_discrepancy", "target_kid")}}

    monkeypatch.setattr(studies.debias.unit, "unit", unit)
    main([*where, "--arms", "unguided", "--seeds", "21"])
    assert given[0].data == "tones" and set(given[0].target.values()) == {0.2}
    dataset = ImageDataset(given[0].source)
    assert dataset.image_shape == (3, 32, 32) and set(dataset.label_names) == set(given[0].shares)
    assert given[0].params.model.channel_mult == (1, 2, 4, 4)


@pytest.mark.parametrize("kimg", [8.0, 100.0, 600.0])
def test_the_learning_rate_decays_to_half_however_long_the_training_is(kimg):
    params = load_params(ROOT / "presets/fashion_mnist.yaml")
    place = Path("nowhere")
    given = Given("data", params, place, {"A": 1.0}, {"A": 1.0}, None, place, place, kimg=kimg)
    settings = settings_of(given, "plain", 21)
    end = learning_rate(settings, settings.total_nimg)
    assert end == pytest.approx(settings.train.lr / 2, rel=0.01)  # whole batches
    assert settings.train.lr_ramp_kimg == min(20, kimg / 8)
