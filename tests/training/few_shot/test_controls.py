import numpy as np
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser
from training.few_shot.controls import bottleneck_features, logistic_regression, nearest_pixels


def material():
    torch.manual_seed(0)
    config = ModelConfig(channels=8, blocks=1, attention_resolutions=(), structural_blocks=())
    denoiser = Denoiser((1, 8, 8), 0, config).eval().requires_grad_(False)
    classes = np.array([0, 1] * 20)
    images = 0.3 * torch.randn(40, 1, 8, 8)
    images[1::2, :, :4] += 1.0
    return denoiser, images, classes


def test_controls_know_what_is_easy_from_a_few():
    denoiser, images, classes = material()
    for found in (
        logistic_regression(denoiser, images[:8], classes[:8], images[8:]),
        nearest_pixels(images[:8], classes[:8], images[8:]),
    ):
        assert found.dtype == np.int64 and (found == classes[8:]).mean() > 0.9
    turned = nearest_pixels(images[:8], 1 - classes[:8], images[8:])
    assert (turned == classes[8:]).mean() < 0.1


def test_features_are_of_each_image():
    denoiser, images, _ = material()
    found = bottleneck_features(denoiser, images)
    assert len(found) == 40 and np.isfinite(found).all()
    assert np.allclose(found[3:5], bottleneck_features(denoiser, images[3:5]), atol=1e-5)
