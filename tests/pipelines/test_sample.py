"""python -m pipelines.sample: weights to images without DVC or Ray."""

import json
import re
import sys
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from PIL import Image

from pipelines import sample
from pipelines.sampling_command.arguments import command_line
from pipelines.sampling_command.sampler import chosen_sampler
from sampling.grids import fit

save_toy = run_path(str(Path(__file__).with_name("toy_network.py")))["save_toy"]


@pytest.fixture
def weights(tmp_path):
    return save_toy(tmp_path / "0.1.safetensors", 3)


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["sample", *map(str, words), "--device", "cpu"])
    sample.main()


def test_pngs_grid_and_npz_agree(weights, tmp_path, monkeypatch, capsys):
    run(
        monkeypatch,
        weights,
        "--seeds",
        "0-2,7",
        "--labels",
        "1,2",
        "--steps",
        3,
        "--out",
        tmp_path / "out",
        "--grid",
        tmp_path / "g.png",
        "--npz",
        tmp_path / "a.npz",
    )
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [
        "000000-class1.png",
        "000001-class2.png",
        "000002-class1.png",
        "000007-class2.png",
    ]
    arrays = np.load(tmp_path / "a.npz", allow_pickle=False)
    assert arrays["labels"].tolist() == [1, 2, 1, 2] and arrays["seeds"].tolist() == [0, 1, 2, 7]
    png = np.asarray(Image.open(tmp_path / "out" / names[3]))
    assert (png == arrays["images"][3, :, :, 0]).all() and png.std() > 5
    assert "4 images" in capsys.readouterr().out


def test_image_depends_on_its_own_seed_only(weights, tmp_path, monkeypatch):
    for name, seeds in (("a", "0-5"), ("b", "4")):
        run(
            monkeypatch,
            weights,
            "--seeds",
            seeds,
            "--labels",
            "1",
            "--steps",
            3,
            "--batch-size",
            4,
            "--npz",
            tmp_path / f"{name}.npz",
        )
    a, b = (np.load(tmp_path / f"{name}.npz")["images"].astype(int) for name in "ab")
    assert np.abs(a[4] - b[0]).max() <= 1


def test_a_used_folder_takes_more_of_the_same_generation_and_no_other(
    weights, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    same = weights, "--steps", 2, "--labels", 1, "--out", out
    run(monkeypatch, *same, "--seeds", "0-2")
    run(monkeypatch, *same, "--seeds", "2-4")
    kept = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(kept) == [f"{seed:06d}-class1.png" for seed in range(5)]
    other = save_toy(tmp_path / "0.2.safetensors", 3, seed=1)
    for words, told in (
        ((other, *same[1:]), r"other weights, 0\.1\.safetensors\): name a new or empty folder"),
        ((*same, "--seed", 3), "seed 0, not 3"),
        ((*same, "--steps", 3), "steps 2, not 3"),
    ):
        with pytest.raises(ValueError, match=told):
            run(monkeypatch, *words, "--seeds", "2-9")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == kept


def test_what_cannot_be_written_is_told_before_anything_is_drawn(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "progress", None)  # it would begin the drawing
    for words, told in (
        (("--grid", tmp_path / "g.pgn"), r"g\.pgn: name a file that ends in \.png or"),
        (("--grid", weights / "g.png"), r"0\.1\.safetensors is a file: name another folder"),
        (("--out", weights / "deep"), r"0\.1\.safetensors is a file: name another folder"),
        (("--npz", tmp_path), "is a folder: name a file"),
        (("--npz", tmp_path / "a.np"), r"a\.np: name a file that ends in \.npz"),
        (("--out", weights), "is a file: name a folder"),
    ):
        with pytest.raises(ValueError, match=told):
            run(monkeypatch, weights, "--count", 2, *words)


def test_labels_by_name_are_those_by_number(tmp_path, monkeypatch):
    named = save_toy(tmp_path / "named.safetensors", 3, ["cat", "dog", "big, bird"])
    deep = tmp_path / "made" / "deeply"  # missing folders are made, whatever is written there
    words = "--out", deep / "out", "--grid", deep / "grids" / "g.png"
    run(monkeypatch, named, "--count", 1, "--steps", 2, "--labels", "big, bird", *words)
    assert Image.open(deep / "out" / "000000-class2.png").info["class"] == "big, bird"
    assert (deep / "grids" / "g.png").is_file()
    for name, labels in (("a", "big, bird,cat"), ("b", "2,0")):
        words = "--count", 4, "--labels", labels, "--steps", 2, "--npz", tmp_path / f"{name}.npz"
        run(monkeypatch, named, *words, "--grid", tmp_path / f"{name}.png")
    a, b = (np.load(tmp_path / f"{name}.npz") for name in "ab")
    assert a["labels"].tolist() == [2, 0, 2, 0] == b["labels"].tolist()
    assert (a["images"] == b["images"]).all()
    for word, told in (("bird", "unknown class 'bird'"), ("dgo", "did you mean 'dog'")):
        with pytest.raises(ValueError, match=told):
            run(monkeypatch, named, "--labels", word, "--npz", tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--solver", "unpic"], "did you mean 'unipc'"),
        (["--steps", "0"], "sampler.steps"),
        (["--solver", "heun", "--solver-option", "eta=1"], "eta"),
        (["--labels", "3"], "classes 0 to 2"),
        (["--labels", "x"], "numbers and ranges"),
        (["--guide", "gradient=1"], "give --classifier FILE, such as outputs/reference/classif"),
        (["--classifier", "c.safetensors"], r"guidance of this sampler \(none\) does not use it"),
        (["--guide-weights", "g.safetensors"], "give --guide KIND=WEIGHT too, or leave it out"),
        (["--seeds", "0-9"], "--seeds 0-9 names 10 images and --count asks for 2: give one"),
        (["--guide", "autoguidance=2"], "give --guide-weights FILE"),
        (["--solver-option", "order"], "KEY=VALUE"),
        (["--count", "-3"], "at least one"),
        (
            ["--count", "1000000000"],
            "--count 1000000000: at most 1,000,000 can be used",
        ),
        (["--batch-size", "0"], "--batch-size 0: give 1 or more"),
        (["--seed", "-1"], "--seed -1: a seed is from 0"),
        (["--seed", str(2**63)], "a seed is from 0 to 2.63 - 1"),
        (
            ["--seeds", "0-9999999999"],
            "--seeds '0-9999999999': at most 1,000,000 numbers",
        ),
        (["--seeds", "0-999999,0-999999"], "at most 1,000,000 numbers"),
        (["--seeds", "1" * 5000], r"\(5000 characters\)': give numbers and ranges"),
        (["--labels", "0-9999999999"], "--labels '0-9999999999': at most"),
        (["--steps", "1000000000"], "sampler.steps: at most 10,000 can be used: DDPM"),
        (["--sigma-max", "inf"], "sampler.sigma_max"),
        (["--grid-option", "rho=1e-9"], "rho is 1e-09"),
        (["--grid-option", "rho=010"], "010 is 8 to one reader"),
        (["--grid-option", "rho=[1"], "is not a value"),
        (["--guide", "classifier_free=[1]"], "the weight must be a number"),
        (["--guide", "classifier_free=null"], "the weight must be a number"),
    ],
)
def test_bad_input_is_one_clear_error(weights, tmp_path, monkeypatch, words, told):
    with pytest.raises(ValueError, match=told):
        run(monkeypatch, weights, "--count", 2, "--grid", tmp_path / "g.png", *words)
    assert not (tmp_path / "g.png").exists()


def test_nothing_to_write_and_unlabelled_models(weights, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="say what to write"):
        run(monkeypatch, weights)
    plain = save_toy(tmp_path / "plain.safetensors", 0)
    for words, told in (
        (["--labels", "1"], "know no classes"),
        (["--guide", "classifier_free=2"], "label"),
    ):
        with pytest.raises(ValueError, match=told):
            run(monkeypatch, plain, "--count", 2, "--grid", tmp_path / "g.png", *words)


def test_another_solver_or_grid_leaves_the_named_settings_own_options_behind():
    def chosen(*words):
        line = ["w", "--sampler", "fast8", "--params", "presets/digits.yaml", *words]
        return chosen_sampler(command_line("").parse_args(line))

    assert chosen().solver_options == {"order": 2}
    assert chosen("--solver", "unipc").solver_options == {"order": 2}  # the same one keeps them
    heun = chosen("--solver", "heun", "--steps", "5")
    assert (heun.solver, heun.solver_options, heun.grid) == ("heun", {}, "optimized")


def test_guidance_from_the_command_line(weights, tmp_path, monkeypatch):
    save_toy(tmp_path / "0.2.safetensors", 3)

    def chosen(*words):
        line = command_line("").parse_args([str(weights), *words])
        return chosen_sampler(line).guidance

    guide = str(tmp_path / "0.2.safetensors")
    words = "--guide autoguidance=2 --guide classifier_free=1.5 --guide-weights"
    guided = chosen(*words.split(), guide)
    assert [(entry.kind, entry.weight) for entry in guided] == [
        ("autoguidance", 2.0),
        ("classifier_free", 1.5),
    ]
    assert [entry.guiding_weights for entry in guided] == [guide, None]
    for word, told in (
        ("interval=2", "interval takes more than a weight and is set in the params file"),
        ("gradeint=2", "did you mean 'gradient'"),
        ("gradient=-1", "--guide gradient=-1: .*greater than or equal to 0"),
    ):
        with pytest.raises(ValueError, match=told):
            chosen("--guide", word)
    files = "--guide-weights", tmp_path / "0.2.safetensors", "--npz", tmp_path / "a.npz"
    run(monkeypatch, weights, "--count", 2, "--steps", 2, "--guide", "autoguidance=2", *files)
    assert (tmp_path / "a.npz").is_file()


def test_evaluations_of_each_image_are_counted_and_told(weights, tmp_path, monkeypatch, capsys):
    words = ("--solver", "adaptive_heun", "--count", 6)
    run(monkeypatch, weights, *words, "--npz", tmp_path / "a.npz")
    assert re.search(
        r"adaptive_heun: \d+\.\d evaluations an image, \d+ to", capsys.readouterr().err
    )
    run(monkeypatch, weights, *words, "--npz", tmp_path / "b.npz", "--batch-size", 4)
    first, second = (np.load(tmp_path / f"{name}.npz")["images"] for name in "ab")
    assert np.abs(first.astype(int) - second).max() <= 1  # but for rounding
    for further in (("--bands", 2), ("--trajectory",)):
        with pytest.raises(ValueError, match="adaptive_heun chooses the steps of each image"):
            run(monkeypatch, weights, *words, *further, "--grid", tmp_path / "g.png")


def test_levels_are_fitted_to_the_weights_and_told(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fit, "starts", lambda *_: [np.geomspace(80.0, 0.002, 4)])
    words = ("--solver", "ddim", "--grid-name", "fitted", "--steps", 4)
    short = ("--grid-option", "images=4", "--grid-option", "iterations=2")
    run(monkeypatch, weights, *words, *short, "--count", 2, "--out", tmp_path / "out")
    told = capsys.readouterr().err.splitlines()[-1]
    levels = [float(word) for word in told.removeprefix("grid fitted: ").split(", ")]
    assert len(levels) == 4 and levels[0] == 80.0 and levels[-1] == 0.002
    facts = drawn_facts(tmp_path / "out" / "000000-class0.png")
    assert facts["grid"] == "explicit" and facts["sigmas"] == pytest.approx(levels, rel=1e-3)
    # The same weights have the same levels, so further images join those that are there.
    run(monkeypatch, weights, *words, *short, "--seeds", "5", "--out", tmp_path / "out")


def drawn_facts(path):
    return json.loads(Image.open(path).info["drawn_with"])
