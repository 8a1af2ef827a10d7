"""Trains the small classifier in whose features images of grey data sets are compared."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.features import RunningStatistics, image_chunks
from models.extractors.classifier import ClassifierExtractor

SEED = 20_240_601
"""Seed of the classifier. It is not the experiment's seed, so one network judges all runs."""
BATCH = 64
EPOCHS = 24
MAX_IMAGES_SEEN = 200_000
"""Most images that training shows, counting repeats."""
MIN_BATCHES = 200
"""Fewest steps that training takes."""
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.02
NOISE = 0.03
"""Standard deviation of the added noise, pixels spanning [-1, 1]."""
RECONSTRUCTION = 3.0
"""Weight of the reconstruction beside the cross-entropy."""
RECONSTRUCTED_SIDE = 16
"""Side of the image that is reconstructed, averaged down to it where it is larger (pixels)."""

STANDARDISED_ON = 1 << 14
"""Most training images, evenly spaced, from whose statistics features are standardised."""


def train_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    train_indices: np.ndarray,
    held_out_indices: np.ndarray,
    *,
    seed: int = SEED,
    max_images_seen: int = MAX_IMAGES_SEEN,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ClassifierExtractor, float | None]:
    """Train on the labelled images of the train split; those with label -1 are left out.

    Training for classes alone would map each class to one point, and the features would not show
    differences within a class. So a linear map of the features must also reconstruct the small
    image without its noise (its error, relative to the image's variance, is added to the loss); the
    map is not kept. Shifts by up to an eighth of the side and added noise keep the
    features smooth. The same arguments on the same machine give the same weights.

    Args:
        images: uint8 [N, H, W, C], memory maps welcome.
        labels: int64 [N].
        num_classes: at least 2.
        train_indices: of the images to train on.
        held_out_indices: of the images on which accuracy is measured.

    Returns:
        The extractor, frozen, and its held-out accuracy (None without held-out labels).
    """
    chosen = train_indices[labels[train_indices] >= 0]
    present = len(np.unique(labels[chosen]))
    if present < 2:
        raise ValueError(
            f"the classifier needs images of at least 2 classes to train on, the train split has "
            f"{present}: set evaluation.extractor to efficientnet_lite0"
        )
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = images.shape[3], *images.shape[1:3]
    small_shape = (min(height, RECONSTRUCTED_SIDE), min(width, RECONSTRUCTED_SIDE))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ClassifierExtractor((channels, height, width), num_classes)
        decoder = nn.Linear(network.num_features, channels * small_shape[0] * small_shape[1])
    network.to(device)
    decoder.to(device)
    parameters = [*network.parameters(), *decoder.parameters()]
    wanted = min(EPOCHS * len(chosen), max_images_seen)
    total = max(MIN_BATCHES, -(-wanted // BATCH))
    optimiser = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total, pct_start=0.1)
    order = _endless_permutations(len(chosen), generator)
    for step in range(total):
        picked = chosen[np.sort([next(order) for _ in range(BATCH)])]
        clean, x = augment(network.prepare(np.asarray(images[picked])), generator)
        target = torch.from_numpy(np.asarray(labels[picked], np.int64))
        hidden = network.hidden(x.to(device))
        small = F.adaptive_avg_pool2d(clean.to(device), small_shape).flatten(1)
        error = F.mse_loss(decoder(hidden), small) / small.var(dim=0).mean().clamp_min(1e-6)
        loss = F.cross_entropy(network.logits(hidden), target.to(device)) + RECONSTRUCTION * error
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, total)
    network.requires_grad_(False).eval()
    statistics = RunningStatistics(network.num_features)
    for _, chunk in image_chunks(images, chosen[:: -(-len(chosen) // STANDARDISED_ON)]):
        statistics.update(network.features(chunk))
    network.standardise(statistics.mean, statistics.cov)
    accuracy = classifier_accuracy(network, images, labels, held_out_indices)
    network.description = {  # in the order in which its file gives it back
        "held_out_accuracy": accuracy,
        "images": len(chosen),
        "images_seen": total * BATCH,
        "seed": seed,
    }
    return network, accuracy


def classifier_accuracy(
    network: ClassifierExtractor, images: np.ndarray, labels: np.ndarray, indices: np.ndarray
) -> float | None:
    """Share of images[indices] with a label >= 0 that get their class; None without such images."""
    chosen = indices[labels[indices] >= 0]
    if len(chosen) == 0:
        return None
    hits = 0
    for start, chunk in image_chunks(images, chosen):
        right = labels[chosen[start : start + len(chunk)]]
        hits += int((network.head(chunk).argmax(axis=1) == right).sum())
    return hits / len(chosen)


def augment(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images [B, C, H, W] shifted at random (edge pixels repeated): (without noise, with noise)."""
    batch, _, height, width = x.shape
    reach = max(1, min(height, width) // 8)
    padded = F.pad(x, (reach,) * 4, mode="replicate")
    dy, dx = torch.randint(0, 2 * reach + 1, (2, batch), generator=generator)
    rows = dy[:, None] + torch.arange(height)  # [B, H]
    columns = dx[:, None] + torch.arange(width)  # [B, W]
    index = torch.arange(batch)[:, None, None]
    shifted = padded[index, :, rows[:, :, None], columns[:, None, :]]  # [B, H, W, C]
    shifted = shifted.permute(0, 3, 1, 2)
    level = NOISE * torch.rand(batch, 1, 1, 1, generator=generator)
    return shifted, shifted + level * torch.randn(shifted.shape, generator=generator)


def _endless_permutations(count: int, generator: torch.Generator):
    while True:
        yield from torch.randperm(count, generator=generator).tolist()
