"""Says of a picture of an emoji which emoji it is and which skin tone it has.

Neither scorer is part of a training or guides a sampler. Each is measured on the real pictures of
the pairs held out, and what it finds in drawn pictures is read beside that.
"""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from models.neighbours import nearest_in

LEVELS = 8
"""Steps of each colour channel in the histogram."""


class ToneScorer:
    """Logistic regression on the colour histogram, which knows nothing of shapes.

    images: uint8 [N, H, W, 3]; tones: their names
    """

    def __init__(self, images: np.ndarray, tones: Sequence[str]):
        self.model = LogisticRegression(C=100.0, max_iter=2000)
        self.model.fit(colours(images), list(tones))

    def __call__(self, images: np.ndarray) -> list[str]:
        """The tone of each."""
        return [str(tone) for tone in self.model.predict(colours(images))]


class BaseScorer:
    """The emoji of the nearest training picture in a network's features, whatever its tone.

    features: float32 [N, F] of training pictures; bases: their names
    """

    def __init__(self, features: np.ndarray, bases: Sequence[str]):
        self.features, self.bases = torch.from_numpy(np.array(features, np.float32)), list(bases)

    def __call__(self, features: np.ndarray) -> list[str]:
        """The name of each."""
        asked = torch.from_numpy(np.array(features, np.float32))
        return [self.bases[int(row)] for row in nearest_in(asked, self.features, 1)[:, 0]]


def colours(images: np.ndarray) -> np.ndarray:
    """Square roots of the shares of LEVELS^3 colours, float64 [N, LEVELS^3], white left out.

    White is the background, whose share is that of the shape. images: uint8 [N, H, W, 3]
    """
    steps = images.astype(np.int64) * LEVELS // 256
    flat = (steps @ np.array([LEVELS**2, LEVELS, 1])).reshape(len(images), -1)
    counts = np.stack([np.bincount(row, minlength=LEVELS**3) for row in flat]).astype(float)
    counts[:, -1] = 0
    return np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def share_right(found: Sequence[str], wanted: Sequence[str]) -> float:
    """Accuracy; chance is one over the number of names, if they are equally frequent."""
    return float(np.mean([one == other for one, other in zip(found, wanted, strict=True)]))


def shares_swapped(
    found: Sequence[str], asked: Sequence[str], owners: Sequence[str]
) -> tuple[float, float]:
    """Shares of pictures that show what was asked, and what the caption that owned the noise says.

    Of the pictures whose two captions differ in it, so the two shares add up to at most 1; nan
    where none differ.
    """
    differ = [one for one in zip(found, asked, owners, strict=True) if one[1] != one[2]]
    if not differ:
        return float("nan"), float("nan")
    seen, wanted, owned = zip(*differ, strict=True)
    return share_right(seen, wanted), share_right(seen, owned)
