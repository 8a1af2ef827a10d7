"""python -m pipelines.sample --image: what it draws, keeps, says and refuses."""

import sys
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import torch
from PIL import Image

import sadm
from models.autoencoder import autoencoder_hash, save_autoencoder
from models.autoencoders.pca import PCAAutoencoder
from models.codecs import LatentCodec
from pipelines import sample

save_toy = run_path(str(Path(__file__).parents[1] / "toy_network.py"))["save_toy"]
HOLE = np.zeros((8, 8), np.uint8)
HOLE[2:5, 3:8] = 255
PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)


@pytest.fixture
def weights(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "photo.png")
    Image.fromarray(HOLE).save(tmp_path / "hole.png")
    return save_toy(tmp_path / "0.1.safetensors")


@pytest.fixture
def latent_weights(tmp_path, weights):
    network = PCAAutoencoder(1, 4, 2)
    network.fit([torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1])
    save_autoencoder(tmp_path / "autoencoder.safetensors", network)
    name = autoencoder_hash(tmp_path / "autoencoder.safetensors")
    codec = LatentCodec(name, (1, 8, 8), (4, 4, 4), (0.0,) * 4, (1.0,) * 4, random=False)
    return save_toy(tmp_path / "latent.safetensors", 0, shape=(4, 4, 4), codec=codec)


def run(monkeypatch, folder, weights, *words):
    monkeypatch.setattr(sys, "argv", ["sample", str(weights), *map(str, words), "--device", "cpu"])
    monkeypatch.chdir(folder)
    sample.main()


def images(monkeypatch, folder, weights, *words):
    run(monkeypatch, folder, weights, *words, "--npz", "out.npz")
    return np.load(folder / "out.npz")["images"][:, :, :, 0]


FILLED = "--image", "photo.png", "--mask", "hole.png", "--steps", 3, "--resample", 2


def test_known_pixels_return_bit_for_bit(weights, tmp_path, monkeypatch, capsys):
    out = images(monkeypatch, tmp_path, weights, *FILLED)
    assert len(out) == 8 and (out[:, HOLE == 0] == PICTURE[HOLE == 0]).all()
    assert out[:, HOLE > 0].std(0).mean() > 5
    told = capsys.readouterr().err
    assert "strength 1: 3 of 3 steps, from noise level 80; 23% of the pixels are drawn" in told
    assert "each step 2 times: 9 evaluations an image" in told  # 2 + 2 twice, and 1
    whole = sadm.generate(
        weights,
        8,
        sampler=sadm.SamplerConfig(steps=3),
        image=torch.from_numpy(PICTURE),
        mask=HOLE > 0,
        resample=2,
    )
    assert np.array_equal(whole[:, :, :, 0], out)
    one = images(monkeypatch, tmp_path, weights, *FILLED, "--seeds", 4, "--labels", 1)
    assert np.abs(one[0].astype(int) - out[4]).max() <= 1


def test_strengths(weights, tmp_path, monkeypatch, capsys):
    words = "--image", "photo.png", "--steps", 5, "--count", 3
    kept = images(monkeypatch, tmp_path, weights, *words, "--strength", 0)
    assert (kept == PICTURE).all() and "the image is returned" in capsys.readouterr().err
    forgotten = images(monkeypatch, tmp_path, weights, *words, "--strength", 1)
    plain = images(monkeypatch, tmp_path, weights, "--steps", 5, "--count", 3)
    assert np.array_equal(forgotten, plain)
    near, far = (
        np.abs(
            images(monkeypatch, tmp_path, weights, *words, "--strength", s) - PICTURE.astype(int)
        )
        for s in (0.2, 0.6)
    )
    assert 0 < near.mean() < far.mean()
    inside = images(monkeypatch, tmp_path, weights, *words, "--strength", 0.4, "--mask", "hole.png")
    assert (inside[:, HOLE == 0] == PICTURE[HOLE == 0]).all()
    Image.fromarray(HOLE * 0 + 255).save(tmp_path / "all.png")
    everything = images(monkeypatch, tmp_path, weights, *words, "--mask", "all.png")
    assert np.array_equal(everything, plain)


def test_latents(latent_weights, tmp_path, monkeypatch):
    words = "--image", "photo.png", "--steps", 4, "--count", 4
    out = images(monkeypatch, tmp_path, latent_weights, *words, "--mask", "hole.png")
    assert (out[:, HOLE == 0] == PICTURE[HOLE == 0]).all()
    assert out[:, HOLE > 0].std(0).mean() > 5
    kept = images(monkeypatch, tmp_path, latent_weights, *words, "--strength", 0)
    assert (kept == PICTURE).all()
    near = images(monkeypatch, tmp_path, latent_weights, *words, "--strength", 0.25).astype(int)
    assert 0 < np.abs(near - PICTURE).mean() < 20
    codec = sadm.load_denoiser(latent_weights).codec
    data = codec.of_pictures(PICTURE[None, :, :, None])
    assert data.shape == (1, 4, 4, 4)
    assert np.abs(codec.decode(data)[0, :, :, 0].astype(int) - PICTURE).max() <= 1


def test_a_folder_takes_results_of_one_edit(weights, tmp_path, monkeypatch):
    out = "--out", "edited", "--labels", 1
    run(monkeypatch, tmp_path, weights, *FILLED, *out, "--seeds", "0-1")
    run(monkeypatch, tmp_path, weights, *FILLED, *out, "--seeds", "2")
    assert len(list((tmp_path / "edited").iterdir())) == 3
    for words, told in (
        ((*FILLED, "--strength", 0.5), "strength 1.0, not 0.5"),
        ((*FILLED[:-1], 3), "resample 2, not 3"),
        (("--steps", 3), "image .*, not set"),
        (("--image", "hole.png", *FILLED[2:]), "image"),
    ):
        with pytest.raises(ValueError, match=f"edited holds images .*{told}"):
            run(monkeypatch, tmp_path, weights, *words, *out, "--seeds", "7")


def _files(folder):
    Image.fromarray(PICTURE[:4]).save(folder / "half.png")
    Image.fromarray(np.stack([PICTURE, PICTURE.T, PICTURE], 2)).save(folder / "colour.png")
    Image.fromarray(HOLE * 0).save(folder / "black.png")
    Image.fromarray(HOLE[:4]).save(folder / "half_mask.png")
    (folder / "text.png").write_text("no picture")


@pytest.mark.parametrize("latent", [False, True])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--mask hole.png", "^--mask is of an image that is edited: give --image too"),
        ("--strength .5", "^--strength is of an image that is edited: give --image too"),
        ("--image photo.png", "^--image: say how it is edited: --mask .*--strength .*or both"),
        ("--image photo.png --strength .5 --resample 4", "--resample fits .*: give --mask too"),
        ("--image photo.png --strength 1.5", "^--strength 1.5: give 0 .* to 1"),
        ("--image photo.png --strength -0.1", "^--strength -0.1: give 0 .* to 1"),
        ("--image photo.png --strength nan", "^--strength nan: give 0 .* to 1"),
        ("--image photo.png --mask hole.png --resample 0", "^--resample 0: give how often"),
        ("--image half.png --strength .5", "^--image half.png: 8x4 pixels, and .* 8x8: crop"),
        ("--image colour.png --strength .5", "^--image colour.png: is in colour, and these"),
        ("--image no.png --strength .5", "^--image no.png: No such file .*: give a picture"),
        ("--image text.png --strength .5", "^--image text.png: not an image .*: give a picture"),
        ("--image photo.png --mask text.png", "^--mask text.png: not an image"),
        ("--image photo.png --mask black.png", "^--mask black.png: no pixel is white, so nothing"),
        ("--image photo.png --mask half_mask.png", "^--mask half_mask.png: 8x4 pixels, and the"),
        (
            "--image photo.png --strength .5 --trajectory",
            "^--trajectory shows how .* leave --image",
        ),
        ("--image photo.png --strength .5 --interpolate 0 1", "^--interpolate shows how"),
    ],
)
def test_what_is_refused_in_one_line(
    words, told, latent, weights, latent_weights, tmp_path, monkeypatch
):
    _files(tmp_path)
    chosen = latent_weights if latent else weights
    with pytest.raises(ValueError, match=told) as error:
        run(monkeypatch, tmp_path, chosen, *words.split(), "--grid", "g.png")
    assert "\n" not in str(error.value) and not (tmp_path / "g.png").exists()


def test_latents_without_their_autoencoder_are_told_before_drawing(
    latent_weights, tmp_path, monkeypatch
):
    (tmp_path / "autoencoder.safetensors").unlink()
    with pytest.raises(ValueError, match=r"the autoencoder .* of these latents is not there"):
        images(monkeypatch, tmp_path, latent_weights, "--image", "photo.png", "--strength", ".5")


def test_from_python(weights):
    draw = {"sampler": sadm.SamplerConfig(steps=2), "count": 2}
    for wrong, told in (
        ({"mask": HOLE}, "^mask is of an image that is edited: give image too"),
        ({"image": PICTURE}, "^image: say how it is edited: mask"),
        ({"image": PICTURE / 255.0, "strength": 0.5}, r"^image: float64 \[8, 8\]: give uint8"),
        ({"image": PICTURE, "mask": HOLE[:4]}, "^mask: 8x4 pixels, and the image has 8x8"),
        ({"image": PICTURE, "strength": "half"}, "^strength 'half': give 0"),
    ):
        with pytest.raises(ValueError, match=told):
            sadm.generate(weights, **draw, **wrong)
    given = sadm.generate(weights, **draw, image=Image.fromarray(PICTURE), strength=0.5)
    assert given.shape == (2, 8, 8, 1) and not np.array_equal(given[0], given[1])
