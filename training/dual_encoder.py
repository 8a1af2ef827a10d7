"""Trains the dual encoder of images and captions on the pairs of a data set."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from dataset.errors import DatasetError
from dataset.slots import slot_indices, slot_normal, slot_uniform
from dataset.store import ImageDataset
from models.codecs.pixel import to_float
from models.dual_encoder import DualEncoder
from models.text_encoders.configs import TextConfig

WEIGHT_DECAY = 0.02
NOISE = 0.3
"""Largest standard deviation of the noise that is added, pixels spanning [-1, 1]: denoised
estimates, which it guides by, are blurred and imperfect."""


@dataclass(frozen=True)
class Trained:
    """A dual encoder, and how well it does."""

    network: DualEncoder
    accuracy: float | None
    """Share of held-out images with a caption of training whose caption is the best of all of
    these; None without such images."""
    chance: float | None
    """The same of a guess."""


def train_dual_encoder(
    dataset: ImageDataset,
    config: TextConfig,
    *,
    seed: int = 0,
    images: int = 200_000,
    batch: int = 64,
    learning_rate: float = 2e-3,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train on the training images that have a caption.

    The same arguments on the same machine give the same weights. Raises DatasetError where fewer
    than two captions have training images.
    """
    chosen = dataset.train_indices[dataset.labels[dataset.train_indices] >= 0]
    if len(np.unique(dataset.labels[chosen])) < 2:
        raise DatasetError(
            "a dual encoder needs training images of at least 2 captions: set dataset.captions"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = config.begin(dataset.trained_names)
        network = DualEncoder(dataset.image_shape, dataset.label_names, config, text)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device)
    parameters = list(network.parameters())
    optimiser = torch.optim.AdamW(parameters, learning_rate, weight_decay=WEIGHT_DECAY)
    total = max(1, images // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total + 1)
    for step in range(total):
        slots = range(step * batch, (step + 1) * batch)
        rows = chosen[slot_indices(seed, len(chosen), slots)]
        clean = to_float(dataset.images[rows])
        level = torch.from_numpy(NOISE * slot_uniform(seed, "dual/level", slots)).float()
        noise = slot_normal(seed, "dual/noise", slots, clean.shape[1:])
        noisy = clean + level[:, None, None, None] * noise
        optimiser.zero_grad(set_to_none=True)
        labels = torch.from_numpy(dataset.labels[rows])
        network.loss(noisy.to(device), labels.to(device)).backward()
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, total)
    network.cpu().eval().requires_grad_(False)
    return Trained(network, *_accuracy(network, dataset))


def _accuracy(network: DualEncoder, dataset: ImageDataset) -> tuple[float | None, float | None]:
    known = len(dataset.trained_names)
    labels = dataset.labels[dataset.held_out_indices]
    rows = dataset.held_out_indices[(labels >= 0) & (labels < known)]
    if not len(rows):
        return None, None
    texts = network.texts(torch.arange(known))
    best = [
        (network.images(to_float(dataset.images[part])) @ texts.T).argmax(1).numpy()
        for part in np.array_split(rows, -(-len(rows) // 256))
    ]
    right = np.concatenate(best) == dataset.labels[rows]
    return float(right.mean()), 1 / known
