"""Denoising loss on held-out and on training images at fixed noise, per noise-level bin.

It is measured on the EMA denoiser: with raw weights the loss varies by some percent from one
measurement to the next, which would shut the gate of the structure game without cause.
"""

import hashlib
import math

import numpy as np
import torch

from dataset.slots import slot_normal
from dataset.store import ImageDataset
from foundation.workers import World
from models.codecs import Codec
from models.denoiser import Denoiser
from training.config import TrainConfig
from training.noise.levels import held_out_sigmas
from training.objectives import fixed_noise_loss
from training.run_settings import RunSettings


def sparse_bins(train: TrainConfig, dataset: ImageDataset) -> str | None:
    """What to tell if the data have too few images for all noise-level bins; None if they do not.

    The loss is then a mean over the bins of low noise alone.
    """
    sides = {"training": dataset.train_indices, "held-out": dataset.held_out_indices}
    side, images = min(((name, len(rows)) for name, rows in sides.items()), key=lambda s: s[1])
    if images >= train.sigma_bins:
        return None
    return (
        f"train.sigma_bins: {train.sigma_bins} noise-level bins do not share {images} {side} "
        f"images, so the held-out loss is the mean over the {images} bins of lowest noise: set it "
        f"to {images} at most, or give more images"
    )


class HeldOutLoss:
    """Measures the loss on the same images, noise and noise levels at every call.

    The images are shared out over the ranks. The gap (held-out minus training loss) shows
    memorisation; the losses per bin show where an adversarial gradient harms the denoiser.
    """

    def __init__(self, settings: RunSettings, dataset: ImageDataset, codec: Codec, world: World):
        self.bins, self.world = settings.train.sigma_bins, world
        self.sides = {}
        for side, indices in (("train", dataset.train_indices), ("held", dataset.held_out_indices)):
            count = min(settings.train.held_out_images, len(indices))
            key = hashlib.blake2b(f"held_out/{side}".encode(), digest_size=8).digest()
            pick = np.random.default_rng(int.from_bytes(key, "little"))
            chosen = np.sort(pick.choice(indices, count, replace=False))
            sigma, bin_index = held_out_sigmas(settings.noise, self.bins, count)
            mine = slice(world.rank, None, world.size)
            stored, labels = dataset.stored(chosen[mine])
            images = codec.encode(stored)
            noise = slot_normal(0, f"held_out_{side}", range(count), images.shape[1:])
            tensors = (images, labels, sigma[mine], torch.as_tensor(noise)[mine])
            self.sides[side] = ([t.to(world.device) for t in tensors], bin_index[mine])

    def measure(self, denoiser: Denoiser) -> tuple[dict[str, float], list[float], list[float]]:
        """(values for the curves, mean loss per bin on training images, the same on held-out ones).

        The loss of a bin without images is NaN. The curves' values are means over the bins that
        have images of both sides.
        """
        per_bin, filled = {}, set(range(self.bins))
        for side, (tensors, bin_index) in self.sides.items():
            totals = torch.zeros(2, self.bins, dtype=torch.float64, device=self.world.device)
            if len(bin_index):
                losses = fixed_noise_loss(denoiser, *tensors).double()  # type: ignore[arg-type]
                index = bin_index.to(self.world.device)
                totals[0].index_add_(0, index, losses)
                totals[1].index_add_(0, index, torch.ones_like(losses))
            self.world.all_reduce_sum_(totals)
            mean = totals[0] / totals[1].clamp_min(1)
            per_bin[side] = mean.where(totals[1] > 0, math.nan).tolist()
            filled &= {bin for bin, count in enumerate(totals[1].tolist()) if count}
        train, held = per_bin["train"], per_bin["held"]
        if not filled:
            return {}, train, held
        of_held, of_train = (
            np.mean([side[bin] for bin in sorted(filled)]) for side in (held, train)
        )
        values = {
            "held_out/loss": float(of_held),
            "held_out/train_loss": float(of_train),
            "held_out/gap": float(of_held - of_train),
        }
        values |= {f"held_out/bin{bin}_loss": held[bin] for bin in sorted(filled)}
        return values, train, held
