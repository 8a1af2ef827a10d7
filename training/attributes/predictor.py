"""Trains the predictor of an attribute on noisy versions of a few labelled images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dataset.slots import slot_indices, slot_normal, slot_uniform
from models.attribute_predictor import BINS, HIGHEST, AttributePredictor, level
from models.denoiser import Denoiser
from training.attributes.bank import make_bank
from training.attributes.encoded import encoded
from training.config import NoiseConfig
from training.noise.levels import sigma_quantile

SPREAD = 0.5
"""Share of training levels that are uniform in ln sigma over the sampler's whole range; the rest
are those that the denoiser was trained at, which hardly reach the sampler's first steps."""
CALIBRATED = 0.25
"""Share of the labelled images that only the temperatures and the cross-entropy see."""
DRAWS = 16
"""Noisy versions of each of these in each range of sigma."""
AT_ONCE = 128


@dataclass(frozen=True)
class Fitted:
    """A predictor, and how well it does on the images that only calibrated it."""

    predictor: AttributePredictor
    cross_entropy: list[float]
    """nats, for each range of sigma, calibrated, the bank included."""
    accuracy: list[float]
    """Share of right values, for each range of sigma."""

    def ranges(self) -> Iterator[tuple[tuple[float, float], float, float]]:
        """((lowest, highest sigma), cross-entropy, accuracy) of each range."""
        for number, pair in enumerate(zip(self.cross_entropy, self.accuracy, strict=True)):
            yield (level(number), level(number + 1)), *pair


def fit(
    denoiser: Denoiser,
    images: Tensor,
    values: Tensor,
    names: Sequence[str],
    noise: NoiseConfig,
    *,
    seed: int = 0,
    layers: int = 1,
    width: int = 64,
    steps: int = 1000,
    batch: int = 64,
    learning_rate: float = 0.01,
    weight_decay: float = 0.3,
    unlabelled: Tensor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Cross-entropy of p_sigma(value | x0 + sigma n), by AdamW with a rate that falls to 0.

    The same arguments on the same machine give the same weights.

    Args:
        denoiser: frozen; it is called without labels.
        images: float [N, C, H, W] in its data units.
        values: int64 [N], numbers of `names`.
        noise: the levels that the denoiser was trained at.
        unlabelled: float [M, C, H, W], further training images for the predictor's bank, taken at
            random; None: it has none.

    Raises ValueError where a value has fewer than two images.
    """
    counts = torch.bincount(values, minlength=len(names))
    for name, count in zip(names, counts.tolist(), strict=True):
        if count < 2:
            raise ValueError(
                f"attribute value {name!r} has {count} labelled images: give 2 or more"
            )
    train, kept = split(values, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, *shape = encoded(denoiser, images[:1], torch.ones(1)).bottleneck.shape
        size = (shape[0], shape[1], shape[2])
        network = AttributePredictor(size, names, layers, width).to(denoiser.device)
    optimiser = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        slots = range(step * batch, (step + 1) * batch)
        rows = train[torch.from_numpy(slot_indices(seed, len(train), slots))]
        sigma = levels(noise, seed, slots)
        eps = slot_normal(seed, "attribute/noise", slots, images.shape[1:])
        hidden = encoded(denoiser, images[rows] + sigma[:, None, None, None] * eps, sigma)
        loss = F.cross_entropy(
            network.raw(hidden.bottleneck, hidden.sigma), values[rows].to(denoiser.device)
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, steps)
    network.eval().requires_grad_(False)
    calibrate(network, denoiser, images[kept], values[kept], seed)
    if unlabelled is None:
        start = HIGHEST * slot_normal(seed, "attribute/start", range(256), images.shape[1:])
        state = encoded(denoiser, start, torch.full((256,), HIGHEST))
        network.prior.copy_(network(state).softmax(1).mean(0))
    else:
        pictures = torch.cat([images[train], unlabelled])
        network.bank = make_bank(denoiser, network, pictures, values[train], seed)
        network.prior.copy_(network.bank.prior)
    return Fitted(network, *judged(network, denoiser, images[kept], values[kept], seed))


def split(values: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """(rows to train on, rows to calibrate on), each value in both, at random."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(values)))
    train, kept = [], []
    for value in values.unique():
        rows = order[values[order] == value]
        count = min(max(1, round(CALIBRATED * len(rows))), len(rows) - 1)
        kept.append(rows[:count])
        train.append(rows[count:])
    return torch.cat(train), torch.cat(kept)


def levels(noise: NoiseConfig, seed: int, slots: range) -> Tensor:
    """Noise levels float32 [B]: those of training, and some of the whole range."""
    chosen = slot_uniform(seed, "attribute/which", slots) < SPREAD
    uniform = slot_uniform(seed, "attribute/sigma", slots)
    whole = level(BINS * uniform)
    return torch.from_numpy(np.where(chosen, whole, sigma_quantile(noise, uniform))).float()


def calibrate(
    network: AttributePredictor, denoiser: Denoiser, images: Tensor, values: Tensor, seed: int
) -> None:
    """Set the temperature of each range of sigma to that of the least cross-entropy."""
    grid = torch.logspace(-1, 1.5, 101).to(denoiser.device)
    answers = values.repeat(DRAWS).to(denoiser.device)
    for number in range(BINS):
        parts = [encoded(denoiser, *pair) for pair in noisy_parts(images, number, seed)]
        logits = torch.cat([network.raw(part.bottleneck, part.sigma) for part in parts])
        losses = torch.stack([F.cross_entropy(logits / t, answers) for t in grid])
        network.temperatures[number] = grid[int(losses.argmin())]


def judged(
    network: AttributePredictor, denoiser: Denoiser, images: Tensor, values: Tensor, seed: int
) -> tuple[list[float], list[float]]:
    """(cross-entropy, accuracy) of each range of sigma, on DRAWS noisy versions of each image."""
    entropies, accuracies = [], []
    answers = values.repeat(DRAWS).to(denoiser.device)
    for number in range(BINS):
        with torch.no_grad():
            logs = torch.cat(
                [
                    network.log_probs(denoiser, x.to(denoiser.device), sigma.to(denoiser.device))
                    for x, sigma in noisy_parts(images, number, seed)
                ]
            )
        entropies.append(float(F.nll_loss(logs, answers)))
        accuracies.append(float((logs.argmax(1) == answers).float().mean()))
    return entropies, accuracies


def noisy_parts(images: Tensor, number: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(noisy images, sigma), AT_ONCE at a time: DRAWS of each image in the number-th range."""
    slots = range(number * DRAWS * len(images), (number + 1) * DRAWS * len(images))
    uniform = slot_uniform(seed, "attribute/calibration", slots)
    sigma = torch.from_numpy(level(number + uniform)).float()
    eps = slot_normal(seed, "attribute/calibration", slots, images.shape[1:])
    noisy = images.repeat(DRAWS, 1, 1, 1) + sigma[:, None, None, None] * eps
    yield from zip(noisy.split(AT_ONCE), sigma.split(AT_ONCE), strict=True)
