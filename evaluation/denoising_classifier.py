"""Classifies images by which class's denoiser errs least, over noise levels and the same noise.

Source: Li et al., "Your diffusion model is secretly a zero-shot classifier" (arXiv 2303.16203):
the same noise for all classes, and successive elimination of classes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from dataset.slots import slot_normal

Errors = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""errors(class, images [N, C, H, W], sigmas [S], noise [S, N, C, H, W]) -> squared errors [N, S]
of that class's denoiser (models/errors.py). Labels of the images are known to nobody here."""
Weigh = Callable[[Tensor], Tensor]
"""weigh(sigmas [S]) -> weights [S] of errors at these levels (models/attribute_loss.py)."""
HELD = 1 << 20
"""Most numbers of noise that are held at once (4 MiB); progress is told as often."""
STREAM = "denoising classifier"


@dataclass(frozen=True)
class Round:
    """Once every class that is left was asked at `samples` levels in all, `keep` classes stay."""

    samples: int
    keep: int


@dataclass(frozen=True)
class Verdict:
    """What the errors say of each image."""

    classes: Tensor
    """int64 [N], of the smallest sum; of equal ones the lower number."""
    scores: Tensor
    """float64 [N, K], weighted sums of errors; infinite for a class that was eliminated."""
    evaluations: int
    """Of denoisers, for all images together."""


def spread_levels(low: float, high: float, count: int) -> Tensor:
    """`count` noise levels, ascending, at the middles of equal parts of ln sigma; float32."""
    places = (np.arange(count) + 0.5) / count
    return torch.from_numpy(np.exp(np.log(low) + places * np.log(high / low))).float()


def scattered(count: int) -> list[int]:
    """0, ..., count - 1 in an order of which every beginning is spread over the whole range.

    By the base-2 radical inverse (van der Corput 1935).
    """
    width = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda number: int(f"{number:0{width}b}"[::-1], 2))


def check_rounds(rounds: Sequence[Round], levels: int) -> None:
    """Raise ValueError unless rounds ask at more and more levels, all in the end, and keep one."""
    said = ",".join(f"{one.samples}:{one.keep}" for one in rounds)
    samples, kept = [one.samples for one in rounds], [one.keep for one in rounds]
    if not rounds or samples[0] < 1 or any(b <= a for a, b in pairwise(samples)):
        raise ValueError(f"rounds {said}: each asks at more levels than the one before it")
    if kept[-1] != 1 or any(b > a for a, b in pairwise(kept)):
        raise ValueError(f"rounds {said}: each keeps at most what the one before kept, the last 1")
    if samples[-1] != levels:
        raise ValueError(f"rounds {said}: the last asks at all {levels} levels")


def level_errors(
    errors: Errors,
    classes: int,
    images: Tensor,
    sigmas: Tensor,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """All errors, [N, K, S]: those that `classify` sums where it eliminates no class.

    Several weights can be tried on them (`decide`). Arguments and errors as of `classify`.
    """
    blocks = []
    for rows, noise in _blocks(images, sigmas, seed):
        blocks.append(
            torch.stack([_asked(errors, c, images[rows], sigmas, noise) for c in range(classes)], 1)
        )
        if progress is not None:
            progress(rows.stop, len(images))
    return torch.cat(blocks)


def decide(errors: Tensor, weights: Tensor) -> Tensor:
    """Classes int64 [N] of the smallest weighted sums. errors: [N, K, S]; weights: [S]."""
    return (errors.double() * weights.double()).sum(-1).argmin(1)


def classify(
    errors: Errors,
    classes: int,
    images: Tensor,
    sigmas: Tensor,
    weigh: Weigh,
    rounds: Sequence[Round] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """The class of each image, from the errors of the classes' denoisers alone.

    The noise of image n at level s depends on (seed, n, s), not on the class, so a permutation of
    the classes permutes the answers. Every round asks at levels spread over the whole range.

    Args:
        classes: K; they are asked for as 0, ..., K - 1.
        images: [N, C, H, W] in data units.
        sigmas: all levels, ascending [S].
        rounds: None: one round, in which every class is asked at all levels.
        progress: told (images judged, of how many).

    Raises ValueError for rounds that fit not, and for errors that are not finite.
    """
    rounds = rounds or [Round(len(sigmas), 1)]
    check_rounds(rounds, len(sigmas))
    parts, evaluations = [], 0
    for rows, noise in _blocks(images, sigmas, seed):
        scores, asked = _scores(errors, classes, images[rows], sigmas, noise, weigh, rounds)
        parts.append(scores)
        evaluations += asked
        if progress is not None:
            progress(rows.stop, len(images))
    scores = torch.cat(parts)
    return Verdict(scores.argmin(1), scores, evaluations)


def _scores(
    errors: Errors,
    classes: int,
    images: Tensor,
    sigmas: Tensor,
    noise: Tensor,
    weigh: Weigh,
    rounds: Sequence[Round],
) -> tuple[Tensor, int]:
    """(scores [N, K] of one block, evaluations)."""
    order = scattered(len(sigmas))
    found = torch.zeros(len(images), classes, len(sigmas), dtype=torch.float64)
    left = torch.ones(len(images), classes, dtype=torch.bool)
    scores, asked, done = torch.zeros(len(images), classes, dtype=torch.float64), 0, 0
    for one in rounds:
        new = torch.tensor(sorted(order[done : one.samples]))
        seen = torch.tensor(sorted(order[: one.samples]))
        done = one.samples
        for number in range(classes):
            rows = left[:, number].nonzero()[:, 0]
            if not len(rows):
                continue
            own = _asked(errors, number, images[rows], sigmas[new], noise[new][:, rows])
            found[rows[:, None], number, new] = own.double().cpu()
            asked += own.numel()
        scores = (found[:, :, seen] * weigh(sigmas[seen]).double().cpu()).sum(-1)
        scores = scores.masked_fill(~left, torch.inf)
        best = scores.argsort(dim=1, stable=True)[:, : one.keep]
        if one is not rounds[-1]:
            left &= torch.zeros_like(left).scatter(1, best, True)
    return scores, asked


def _asked(errors: Errors, number: int, images: Tensor, sigmas: Tensor, noise: Tensor) -> Tensor:
    """The errors [N, S] of one class. Raises ValueError where they are not finite."""
    own = errors(number, images, sigmas, noise)
    if not own.isfinite().all():
        raise ValueError(f"the errors of class {number} are not finite numbers")
    return own


def _blocks(images: Tensor, sigmas: Tensor, seed: int) -> Iterator[tuple[slice, Tensor]]:
    """(slice of images, their noise [S, n, C, H, W]), of HELD numbers at most, or one image."""
    step = max(1, HELD // max(1, len(sigmas) * images[:1].numel()))
    for start in range(0, len(images), step):
        rows = slice(start, min(start + step, len(images)))
        yield rows, image_noise(range(rows.start, rows.stop), len(sigmas), images.shape[1:], seed)


def image_noise(numbers: range, levels: int, shape: Sequence[int], seed: int) -> Tensor:
    """Unit normal noise [S, n, *shape]; that of image n at level s depends on (seed, n, s)."""
    slots = range(numbers.start * levels, numbers.stop * levels)
    drawn = slot_normal(seed, STREAM, slots, shape)
    return drawn.view(len(numbers), levels, *shape).transpose(0, 1)
