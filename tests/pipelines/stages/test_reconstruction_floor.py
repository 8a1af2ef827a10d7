"""The second floor of latents."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaluation.config import EvaluationConfig
from evaluation.floors import draw_metrics
from models.autoencoders.base import Autoencoder, Moments
from models.autoencoders.psnr import MOST
from pipelines.stages import reconstruction_floor as reconstruction

IMAGES = np.random.default_rng(0).integers(40, 200, (90, 4, 4, 1), dtype=np.uint8)


class Brighter(Autoencoder):
    """Decodes each picture a few grey levels brighter."""

    def __init__(self, levels: float):
        super().__init__(1, 1, 1)
        self.levels = levels

    def encode(self, images):
        return Moments(images, torch.zeros_like(images))

    def decode(self, latents):
        return latents + self.levels / 127.5


def test_psnr_is_that_of_the_equation():
    pictures, psnr = reconstruction.reconstructed(Brighter(5), IMAGES)
    assert (pictures.astype(int) == IMAGES.astype(int) + 5).all()
    assert psnr == pytest.approx(20 * np.log10(255 / 5), abs=1e-9)
    assert reconstruction.reconstructed(Brighter(0), IMAGES)[1] == MOST


def test_the_floor_grows_with_what_the_autoencoder_loses_and_is_kept(tmp_path, monkeypatch):
    features = IMAGES.reshape(90, -1)[:, :6].astype(np.float64) / 50
    real = SimpleNamespace(
        extractor=SimpleNamespace(
            features=lambda images, batch: images.reshape(len(images), -1)[:, :6] / 50
        ),
        train_features=features[:40],
        held_out_features=features[40:],
    )
    monkeypatch.setattr(reconstruction, "floors_file", lambda folder, *a: folder / "x.npz")
    config = EvaluationConfig(k=3, kid_subsets=5, kid_subset_size=10, floor_draws=4)

    def floor(levels, name):
        return reconstruction.reconstruction_floor(
            Brighter(levels), name, IMAGES[40:], real, config, 20, 0, kept=tmp_path
        )

    lossless, lossy = floor(0, "a"), floor(40, "b")
    assert lossy["fd_reconstruction"]["value"] > 2 * lossless["fd_reconstruction"]["value"]
    plain = draw_metrics(
        lambda side, other, seed: reconstruction.measure(side, other, seed, config, ("fd",)),
        {"real": features[40:]},
        features[:40],
        20,
        4,
        0,
        prepare=lambda some, draw: reconstruction.RealSide(some, 3),
    )["real"]["fd"].mean()
    assert lossless["fd_reconstruction"]["value"] == pytest.approx(plain, rel=1e-5)
    monkeypatch.setattr(reconstruction, "reconstructed", None)  # the kept file is read
    assert floor(0, "a") == lossless
