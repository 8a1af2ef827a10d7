"""The tables of both studies, from rows as their units write them."""

import json

from studies.emoji import latents, words
from studies.emoji.unit import TRAINED


def write(folder, name, row):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(row))


def test_minutes_are_those_of_all_that_is_trained(tmp_path):
    for seed, kid in ((21, 0.02), (22, 0.04)):
        row = {
            "arm": "kl",
            "seed": seed,
            "kimg": 110.0,
            "processor_seconds": {
                "latents.autoencoder": 60.0,
                "latents.encode": 30.0,
                "train": 480.0,
                "reconstruct": 30.0,
                "evaluate --length 0.1 --sampler heun18": 9000.0,
            },
            "metrics": {
                "kid": {"value": kid, "floor": 0.001},
                "fd": {"value": 50.0, "floor": 20.0},
                "recall": {"value": 0.5, "floor": 0.9},
                "coverage": {"value": 0.5, "floor": 0.9},
                "reconstruction_psnr": {"value": 27.0},
                "kid_reconstruction": {"value": 0.002},
            },
        }
        write(tmp_path, f"kl-{seed}", row)
    lines = latents.table(tmp_path).splitlines()
    assert lines[2].startswith("| real images (floor) |") and "| 0.0010 | 20.0 |" in lines[2]
    assert lines[3].startswith("| kl | 110 | 2 | 10.0 ± 0.0 | 0.0300 ± 0.0141 | 50.0 ± 0.0 |")
    assert lines[3].endswith("| 27.0 ± 0.0 | 0.0020 ± 0.0000 |")
    assert (
        lines[-1] == "| kl | PSNR in dB | 27.0 ± 0.0 | >= 26 | 2 of 2 |"
    )  # no pixels to divide by


def test_kid_is_divided_by_that_of_the_pixel_arm_of_the_same_seed(tmp_path):
    kids = {"pixels": {21: 0.08, 22: 0.02, 23: 0.04}, "pca": {21: 0.02, 22: 0.02, 24: 9.0}}
    for arm, seeds in kids.items():
        for seed, kid in seeds.items():
            metrics = {"kid": {"value": kid}}
            if arm == "pca":
                metrics["reconstruction_psnr"] = {"value": seed + 4.5}
            spent = dict.fromkeys(TRAINED, 60.0)
            row = {"arm": arm, "seed": seed, "kimg": 1, "processor_seconds": spent}
            write(tmp_path, f"{arm}-{seed}", row | {"metrics": metrics})
    lines = latents.table(tmp_path).splitlines()
    assert lines[-2:] == [
        "| pca | KID / KID of pixels | 0.625 ± 0.530 | <= 0.7 | 1 of 2 |",
        "| pca | PSNR in dB | 26.8 ± 1.5 | >= 26 | 2 of 3 |",
    ]


def test_scores_have_a_mean_over_the_seeds(tmp_path):
    for seed, tone in ((21, 0.8), (22, 0.9)):
        scores = dict.fromkeys(words.SHOWN, 0.5) | {"tone": tone, "base_real": 0.8}
        write(tmp_path, f"words-{seed}", {"arm": "words", "kimg": 160, "scores": scores})
    assert "| words | 160 | 2 | 0.850 ± 0.071 | 0.500 ± 0.000 |" in words.table(tmp_path)
    found = words.table(tmp_path).splitlines()
    assert found[-2:] == [
        "| words | tone | 0.850 ± 0.071 | >= 0.85 | 1 of 2 |",
        "| words | emoji / emoji of real pictures | 0.625 ± 0.000 | >= 0.6 | 2 of 2 |",
    ]
    for title in ("tone asked", "tone of the noise's owner", "emoji asked", "emoji of the noise's"):
        assert title in found[0]
    assert words.table(tmp_path / "none").startswith("no row stands")
