"""Keeps the features of the last plays, so that the discriminator can learn from them again."""

import numpy as np
import torch
from torch import Tensor

FIELDS = ("real", "fake", "labels", "shown")


class RecentPlays:
    """The features of the last `size` plays, each of the whole global batch.

    A batch mixed from them has a new graph, at a small part of the cost of new fakes (Shrivastava
    et al., arXiv 1612.07828, keep past fakes for the same purpose).
    """

    def __init__(self, size: int):
        self.size = size
        self._plays: list[tuple[Tensor, ...]] = []
        self._drawn: Tensor | None = None

    def __len__(self) -> int:
        return len(self._plays)

    def add(self, real: Tensor, fake: Tensor, labels: Tensor, shown: Tensor) -> None:
        """Keep a play, and drop the oldest if there are more than `size`.

        real, fake: features [N, F]. labels: int64 [N]. shown: which training image each real is,
        int64 [N].
        """
        self._plays.append((real.detach(), fake.detach(), labels, shown))
        del self._plays[: -self.size]

    def mixed(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """`count` rows (fewer if fewer are kept) drawn without replacement: real, fake, labels.

        Row i of real and row i of fake have the same label; pairs of a paired form stay pairs. No
        real image occurs twice: since fakes have no duplicates, duplicates would give the real set
        away.
        """
        *kept, shown = (torch.cat(column) for column in zip(*self._plays, strict=True))
        order = torch.randperm(len(shown), generator=generator)
        _, first = np.unique(shown.cpu()[order].numpy(), return_index=True)
        rows = order[np.sort(first)[:count]].to(shown.device)
        self._drawn = rows
        real, fake, labels = (column[rows] for column in kept)
        return real, fake, labels

    def other_fakes(self, drawn: bool, last: bool = True) -> tuple[Tensor, Tensor] | None:
        """Fakes [Q, F] and labels [Q] of all plays, less some; None where none are left.

        drawn: leave out the rows that `mixed` gave last. last: whether the newest play counts.
        """
        plays = self._plays if last else self._plays[:-1]
        if not plays:
            return None
        fakes, labels = (torch.cat([play[column] for play in plays]) for column in (1, 2))
        if drawn and self._drawn is not None:
            left = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
            left[self._drawn[self._drawn < len(labels)]] = False
            fakes, labels = fakes[left], labels[left]
        return fakes, labels

    def clear(self) -> None:
        """Drop all plays, since the features have changed."""
        self._plays.clear()

    def state_dict(self) -> dict[str, Tensor]:
        """Flat tensors "INDEX.FIELD", the oldest play first."""
        return {
            f"{index}.{name}": value
            for index, play in enumerate(self._plays)
            for name, value in zip(FIELDS, play, strict=True)
        }

    def load_state_dict(self, tensors: dict[str, Tensor], like: Tensor) -> None:
        """Set what `state_dict` returned, on the device of `like`."""
        if "0.shown" not in tensors:  # an older version wrote it: begin without plays
            tensors = {}
        count = len(tensors) // len(FIELDS)
        at = {name: value.clone().to(like.device) for name, value in tensors.items()}
        self._plays = [tuple(at[f"{index}.{name}"] for name in FIELDS) for index in range(count)]
