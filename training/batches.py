"""Draws the training batch of some image slots.

A row depends on (seed, slot) alone; its noise level on the schedule's state too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dataset.slots import slot_indices, slot_normal, slot_uniform
from dataset.store import ImageDataset
from foundation.workers import World
from models.codecs import Codec
from training.encoded_images import encoded_images
from training.noise.schedule import NoiseSchedule, Plain
from training.run_settings import RunSettings


@dataclass(frozen=True)
class Batch:
    """What is drawn for some slots; a label is -1 if it is dropped or the image has none."""

    images: Tensor  # [B, C, H, W], data units
    labels: Tensor  # [B] int64
    sigma: Tensor  # [B]
    noise: Tensor  # [B, C, H, W]
    dropout: Tensor  # [B] int64, keys of the dropout masks; 0 without dropout
    weight: Tensor | None = None  # [B], what each loss counts; None: 1
    probe: Tensor | None = None  # [B, C, H, W], unit normal, of the gradient penalty; None: none


def draw_stored(
    settings: RunSettings, dataset: ImageDataset, slots: Sequence[int]
) -> tuple[np.ndarray, Tensor, Tensor | None]:
    """What the data set stores for these slots, labels int64 [B], and which rows are mirrored.

    The last is bool [B], or None where training mirrors no image.
    """
    seed, train_indices = settings.seed, dataset.train_indices
    chosen = train_indices[slot_indices(seed, len(train_indices), slots)]
    mirrored = None
    if settings.train.horizontal_flip:
        mirrored = torch.from_numpy(slot_uniform(seed, "flip", slots) < 0.5)
    return *dataset.stored(chosen), mirrored


def draw_batch(
    settings: RunSettings,
    dataset: ImageDataset,
    codec: Codec,
    slots: Sequence[int],
    device: torch.device,
    schedule: NoiseSchedule | None = None,
    nimg: int = 0,
) -> Batch:
    """The batch of these slots, which are positions in the endless sequence of training images.

    schedule: draws the noise levels; None: the plain law of settings.noise does. nimg: images seen
    at the beginning of the step, which the schedule may depend on.
    """
    seed = settings.seed
    schedule = schedule or Plain(settings.noise)
    stored, labels, mirrored = draw_stored(settings, dataset, slots)
    images = encoded_images(codec, stored, mirrored, seed, "latent", slots)
    hidden = slot_uniform(seed, "label_dropout", slots) < settings.model.label_dropout
    labels = torch.where(torch.from_numpy(hidden), -1, labels)
    drawn, counts = schedule.draw(slot_uniform(seed, "sigma", slots), nimg)
    sigma = torch.from_numpy(drawn).float()
    noise = slot_normal(seed, "noise", slots, images.shape[1:])
    probe = None
    if settings.noise.gradient_penalty:
        probe = torch.as_tensor(slot_normal(seed, "probe", slots, images.shape[1:])).to(device)
    keys = torch.zeros(len(slots), dtype=torch.int64)
    if settings.model.dropout:
        keys = torch.from_numpy((slot_uniform(seed, "dropout", slots) * 2**53).astype(np.int64))
    return Batch(
        images.to(device),
        labels.to(device),
        sigma.to(device),
        torch.as_tensor(noise).to(device),
        keys.to(device),
        None if counts is None else torch.from_numpy(counts).to(sigma).to(device),
        probe,
    )


def micro_batches(slots: range, world: World, micro_batch: int | None) -> list[range]:
    """This worker's share of the slots of a global batch, part by part.

    micro_batch: images in a part; None: the whole share. Raises ValueError for a batch that the
    workers cannot share.
    """
    share = world.share(len(slots))
    size = micro_batch or (share.stop - share.start)
    starts = range(share.start, share.stop, size)
    return [slots[start : min(start + size, share.stop)] for start in starts]


def add_sums(sums: dict[str, Tensor], losses: Mapping[str, Tensor]) -> None:
    """Add the sum over images of each loss [B] to `sums`, as float64."""
    for name, values in losses.items():
        total = values.detach().sum().double()
        sums[name] = sums[name] + total if name in sums else total
