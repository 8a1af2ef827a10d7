"""Real images for what is measured once: Psi's statistics and the bank."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dataset.slots import slot_indices, slot_normal, slot_uniform
from dataset.store import ImageDataset
from models.codecs import Codec
from training.encoded_images import encoded_images
from training.structure.config import StructureConfig
from training.structure.features import Psi

STATISTICS_BATCH = 256


def statistics_batches(
    config: StructureConfig,
    codec: Codec,
    dataset: ImageDataset,
    seed: int,
    device: torch.device,
) -> Iterator[Tensor]:
    """Train images [B, C, H, W] in data units, config.statistics_images of them."""
    train = dataset.train_indices
    total = min(config.statistics_images, len(train))
    for start in range(0, total, STATISTICS_BATCH):
        slots = range(start, min(start + STATISTICS_BATCH, total))
        stored, _ = dataset.stored(train[slot_indices(seed, len(train), slots)])
        images = codec.encode(stored)
        if config.fakes == "renoise":
            noise = slot_normal(seed, "structure/statistics", slots, images.shape[1:])
            images = images + config.renoise_sigma * noise
        yield images.to(device)


def bank_features(
    config: StructureConfig,
    codec: Codec,
    psi: Psi,
    seed: int,
    flip: bool,
    stored: np.ndarray,
    places: range,
) -> Tensor:
    """Features [B, F] of stored images at these places of the bank, seen as a play's reals are.

    flip: mirror half of them, as training does.
    """
    mirrored = None
    if flip:
        mirrored = torch.from_numpy(slot_uniform(seed, "structure/flip bank", places) < 0.5)
    images = encoded_images(codec, stored, mirrored, seed, "structure/latent bank", places)
    if config.fakes == "renoise":
        noise = slot_normal(seed, "structure/renoise bank", places, images.shape[1:])
        images = images + config.renoise_sigma * noise
    return psi(images.to(psi.mean.device))
