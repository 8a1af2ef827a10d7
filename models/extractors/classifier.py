"""A small classifier of the data set's own labels, and its penultimate layer as features."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.extractors.base import Extractor, ExtractorError, versions
from models.weights import (
    WeightsError,
    image_shape,
    load_tensors,
    save_weights,
    tensors_hash,
    whole,
)

MAX_SIDE = 64
"""Larger images are averaged down to this before the first convolution."""
EVENNESS = 0.1
"""Share of the mean feature variance added before whitening; 0 is full whitening."""


class ClassifierExtractor(Extractor):
    """Convolutions, a pooled 2x2 map, `num_features` smooth units, class logits.

    No batch statistics and no dropout, so training and evaluation are one function; SiLU and
    average pooling keep the features smooth in the pixels. The features are few on purpose: a
    Frechet distance needs clearly more samples than dimensions. A fixed linear map (`standardise`)
    shifts the training images' features to mean 0 and evens out their variances; without it the few
    directions that separate the classes would dominate every distance.

    Args:
        image_shape: (C, H, W).
        num_classes: at least 2.
    """

    name = "classifier"
    metric_name = "FD-Classifier"
    image_shape: tuple[int, int, int]
    feature_mean: Tensor
    feature_map: Tensor

    def __init__(
        self, image_shape: tuple[int, int, int], num_classes: int, num_features: int = 64
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise ExtractorError(
                f"the classifier extractor needs at least 2 classes, the data set has "
                f"{num_classes}: set evaluation.extractor to efficientnet_lite0"
            )
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.num_features = num_features
        channels, height, width = self.image_shape
        side = min(height, width, MAX_SIDE)
        layers: list[nn.Module] = []
        out = 32
        while side > 8:  # one cheap strided layer per halving while the image is large
            layers += _conv(channels, out, stride=2)
            channels, side = out, side // 2
        for out in (48, 96):
            layers += _conv(channels, out) + _conv(out, out)
            if side >= 4:
                layers.append(nn.AvgPool2d(2))
                side //= 2
            channels = out
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.penultimate = nn.Linear(channels * 4, num_features)
        self.logits = nn.Linear(num_features, num_classes)
        self.register_buffer("feature_mean", torch.zeros(num_features))
        self.register_buffer("feature_map", torch.eye(num_features))
        self.description: dict = {}
        """How it was trained: seed, images seen, held-out accuracy (evaluation/classifier.py)."""
        self._sha256: str | None = None

    def shrink(self, x: Tensor) -> Tensor:
        """Average images down to the first convolution's size; smaller ones stay as they are."""
        channels, *sides = self.image_shape
        small = (channels, *(min(side, MAX_SIDE) for side in sides))
        if tuple(x.shape[1:]) not in (self.image_shape, small):
            raise ExtractorError(
                f"the classifier was made for images {self.image_shape} (C, H, W), "
                f"got {tuple(x.shape[1:])}: run the reference stage again for this data set"
            )
        return x if tuple(x.shape[1:]) == small else F.adaptive_avg_pool2d(x, small[1:])  # type: ignore[arg-type]

    def hidden(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] in [-1, 1] -> penultimate activations before standardisation."""
        return F.silu(self.penultimate(self.trunk(self.shrink(x))))

    def classify(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] in [-1, 1] -> logits [B, num_classes]."""
        return self.logits(self.hidden(x))

    def forward(self, x: Tensor) -> Tensor:
        return (self.hidden(x) - self.feature_mean) @ self.feature_map

    def prepare(self, images: np.ndarray) -> Tensor:
        return self.shrink(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1)

    def embed(self, prepared: Tensor) -> Tensor:
        return self(prepared)

    def head(self, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Class logits of stored images uint8 [N, H, W, C] -> float32 [N, num_classes]."""
        return self.run(self.classify, images, batch_size)

    def standardise(self, mean: np.ndarray, cov: np.ndarray) -> None:
        """Set the linear map, from mean [F] and covariance [F, F] of the features without one.

        Softened whitening, (C + EVENNESS * mean variance)^(-1/2): directions much weaker than the
        average stay weak. The symmetric root is used because it is unique.
        """
        variance, axes = np.linalg.eigh(cov)
        variance = variance.clip(min=0)
        softened = variance + EVENNESS * max(variance.mean(), 1e-12)
        self.feature_mean.copy_(torch.from_numpy(mean))
        self.feature_map.copy_(torch.from_numpy((axes / np.sqrt(softened)) @ axes.T))
        self._sha256 = None

    def sha256(self) -> str:
        """Of the weights: names, shapes and values."""
        if self._sha256 is None:
            self._sha256 = tensors_hash(self.state_dict())
        return self._sha256

    def protocol(self) -> dict:
        return {
            "extractor": self.name,
            "metric_name": self.metric_name,
            "num_features": self.num_features,
            "weights_sha256": self.sha256(),
            "input": "uint8 / 127.5 - 1, no resize"
            + (f", averaged down to {MAX_SIDE} px" if max(self.image_shape[1:]) > MAX_SIDE else ""),
            "training": self.description,
            "versions": versions("torch"),
        }

    def save(self, path: Path) -> None:
        """Write PATH.safetensors and the JSON beside it."""
        description = {
            "kind": self.name,
            "image_shape": list(self.image_shape),
            "num_classes": self.num_classes,
            "num_features": self.num_features,
            "training": self.description,
        }
        save_weights(path, self.state_dict(), description)


def load_classifier(path: Path) -> ClassifierExtractor:
    """Read a classifier written by `ClassifierExtractor.save`. Raises WeightsError."""
    tensors, description = load_tensors(path)
    try:
        extractor = ClassifierExtractor(
            image_shape(description),
            whole(description, "num_classes", 2, 1_000_000),
            whole(description, "num_features", 1, 65_536),
        )
        extractor.load_state_dict(tensors)
        extractor.description = description["training"]
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path} does not hold a classifier of this version ({error}): "
            f"run the reference stage again"
        ) from error
    return extractor.requires_grad_(False).eval()


def _conv(channels: int, out: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, out, 3, stride, padding=1, bias=False),
        nn.GroupNorm(8, out),
        nn.SiLU(),
    ]
