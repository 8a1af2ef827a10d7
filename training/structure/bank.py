"""The bank of real images beside which a form of discriminator judges samples."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dataset.distinct import first_of_each
from dataset.slots import slot_generator
from dataset.store import ImageDataset
from discriminators.bank import Bank
from foundation.workers import World

AT_ONCE = 256
"""Images whose features are computed at once."""
MOST_SHARE = 0.5
"""Of the train images, so that plays have reals of their own."""


class RealBank:
    """Features of train images that are in no play until the bank is drawn anew.

    Its images are chosen by (seed, images seen when the game opened) alone. Copies of them are left
    out of the plays too. A checkpoint holds the choice; the features are computed again, by the Psi
    that the checkpoint holds.

    Args:
        images: in the bank; at most MOST_SHARE of the train images.
    """

    def __init__(self, images: int, seed: int):
        self.images, self.seed = images, seed
        self.chosen: np.ndarray | None = None
        """Positions in the train split, int64 [M], in random order; None before the game opens."""
        self.content: Bank | None = None

    def choose(self, nimg: int, dataset: ImageDataset, groups: np.ndarray, least: int = 2) -> None:
        """Draw the bank of a game that opens at `nimg`; `fill` comes next.

        Raises ValueError for fewer than `least` images.

        Args:
            groups: int64 [train images], each of which gives at most half of its distinct images.
        """
        total = len(dataset.train_indices)
        order = torch.randperm(total, generator=slot_generator(self.seed, "structure/bank", nimg))
        places = order.numpy()
        if (keys := dataset.train_keys) is not None:  # many copies of one image have no spread
            places = places[first_of_each(keys[places])]
        # The share of each group is halved at most, so that every group has reals to show.
        rank = np.empty(len(places), dtype=np.int64)
        for group in np.unique(groups):
            own = np.flatnonzero(groups[places] == group)
            rank[own] = np.arange(len(own))
            rank[own[int(len(own) * MOST_SHARE) :]] = total
        self.chosen = places[rank < total][: self.images]
        self.content = None
        if len(self.chosen) < least:
            raise ValueError(
                f"structure: the bank has {len(self.chosen)} images (half of each group's distinct "
                f"train images, bank_images at most), and its form looks at {least}: use kind "
                "graph or per_sample, more images, or smaller k and tangent_neighbours"
            )

    def left_out(self, dataset: ImageDataset) -> np.ndarray:
        """bool [train images]: in no play, since they or copies of them are in the bank."""
        assert self.chosen is not None
        inside = np.zeros(len(dataset.train_indices), dtype=bool)
        inside[self.chosen] = True
        if (keys := dataset.train_keys) is not None:
            inside |= np.isin(keys, keys[self.chosen])
        return inside

    def fill(
        self,
        dataset: ImageDataset,
        groups: np.ndarray,
        features: Callable[[np.ndarray, range], Tensor],
        world: World,
    ) -> None:
        """Compute the features. All workers use those of rank 0.

        features: of stored images [B, ...], which have these places in the bank -> [B, F].
        """
        assert self.chosen is not None
        rows = dataset.train_indices[self.chosen]
        parts = []
        with torch.no_grad():
            for start in range(0, len(rows), AT_ONCE):
                places = range(start, min(start + AT_ONCE, len(rows)))
                stored, _ = dataset.stored(rows[start : places.stop])
                parts.append(features(stored, places))
        found = world.broadcast_(torch.cat(parts).contiguous())
        own = torch.from_numpy(groups[self.chosen]).to(found.device)
        self.content = Bank.of(found, own)

    def state_dict(self) -> dict[str, Tensor]:
        """The choice."""
        return {} if self.chosen is None else {"chosen": torch.from_numpy(self.chosen)}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Set what `state_dict` returned; `fill` computes the features again."""
        chosen = tensors.get("chosen")
        self.chosen = None if chosen is None else chosen.cpu().numpy()
        self.content = None
