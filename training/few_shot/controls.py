"""What the same few images give without any fitting of the denoiser."""

import numpy as np
import torch
from torch import Tensor

from models.denoiser import Denoiser
from models.neighbours import nearest_in

TOLD = (0.05, 0.3, 1.0)
"""Noise levels that the encoder is told of the clean image; their features stand side by side."""
CELLS = 2
AT_ONCE = 256


def bottleneck_features(denoiser: Denoiser, images: Tensor) -> np.ndarray:
    """The bottleneck of clean images [N, C, H, W], averaged over CELLS x CELLS cells: [N, F]."""
    return np.concatenate([_features(denoiser, part) for part in images.split(AT_ONCE)])


@torch.no_grad()
def _features(denoiser: Denoiser, images: Tensor) -> np.ndarray:
    images = images.to(denoiser.device)
    parts = []
    for level in TOLD:
        sigma = torch.full((len(images),), level, device=images.device)
        wide = denoiser.encode(images, sigma).bottleneck.float()
        cells = min(CELLS, *wide.shape[2:])
        parts.append(torch.nn.functional.adaptive_avg_pool2d(wide, cells).flatten(1))
    return torch.cat(parts, 1).cpu().numpy()


def logistic_regression(
    denoiser: Denoiser, shots: Tensor, classes: np.ndarray, images: Tensor
) -> np.ndarray:
    """Classes int64 [N] of images by logistic regression on the bottleneck, fitted to the shots.

    Features are standardised by the shots; C = 1, scikit-learn's default.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    model.fit(bottleneck_features(denoiser, shots), classes)
    return model.predict(bottleneck_features(denoiser, images)).astype(np.int64)


def nearest_pixels(shots: Tensor, classes: np.ndarray, images: Tensor) -> np.ndarray:
    """Classes int64 [N] of images: that of the nearest shot, Euclidean in data units."""
    found = nearest_in(images.flatten(1), shots.flatten(1), 1)[:, 0]
    return np.asarray(classes)[found.cpu().numpy()]
