"""Features of the last plays, from which the discriminator learns more than once."""

import numpy as np
import torch
from torch import Tensor

FIELDS = ("real", "fake", "labels", "shown")


class RecentPlays:
    """The features of the last `size` plays, each of the whole global batch.

    A batch mixed from them has a graph that was never seen before, at a small part of the cost of
    new fakes (Shrivastava et al., arXiv 1612.07828, keep past fakes to the same end).
    """

    def __init__(self, size: int):
        self.size = size
        self._plays: list[tuple[Tensor, ...]] = []

    def __len__(self) -> int:
        return len(self._plays)

    def add(self, real: Tensor, fake: Tensor, labels: Tensor, shown: Tensor) -> None:
        """Keep a play; the oldest goes when there are too many.

        Features [N, F], labels [N], and which image each real is of, int64 [N].
        """
        self._plays.append((real.detach(), fake.detach(), labels, shown))
        del self._plays[: -self.size]

    def mixed(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """`count` rows (fewer if fewer are kept) drawn without replacement: real, fake, labels.

        Row i of real and of fake share their label, and a paired form's rows stay pairs. No image
        is shown twice: duplicates, which fakes have none of, would tell the real set.
        """
        *kept, shown = (torch.cat(column) for column in zip(*self._plays, strict=True))
        order = torch.randperm(len(shown), generator=generator)
        _, first = np.unique(shown.cpu()[order].numpy(), return_index=True)
        rows = order[np.sort(first)[:count]].to(shown.device)
        real, fake, labels = (column[rows] for column in kept)
        return real, fake, labels

    def clear(self) -> None:
        """Forget all: the features have changed."""
        self._plays.clear()

    def state_dict(self) -> dict[str, Tensor]:
        """Flat tensors "INDEX.FIELD", the oldest play first."""
        return {
            f"{index}.{name}": value
            for index, play in enumerate(self._plays)
            for name, value in zip(FIELDS, play, strict=True)
        }

    def load_state_dict(self, tensors: dict[str, Tensor], like: Tensor) -> None:
        """Take up the state of `state_dict`, on the device of `like`."""
        if "0.shown" not in tensors:  # of a version that did not note it: begin anew
            tensors = {}
        count = len(tensors) // len(FIELDS)
        at = {name: value.clone().to(like.device) for name, value in tensors.items()}
        self._plays = [tuple(at[f"{index}.{name}"] for name in FIELDS) for index in range(count)]
