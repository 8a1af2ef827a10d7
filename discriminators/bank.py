"""A bank of features of real images, or of recent fakes, beside which a sample is judged.

A batch of 64 is too thin to show a manifold of ten dimensions; thousands of points are not. A form
that looks into a bank gives each sample a logit that depends on no other sample.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from models.neighbours import nearest

LOCAL = 8
"""The neighbour whose squared distance is a point's unit of length."""
COPY = 0.02
"""A point of the bank nearer to a real image than this part of its unit is a copy of the image:
among points of ten dimensions one in 10^8 would be so by chance."""


@dataclass(frozen=True)
class Bank:
    """Constant points, with what edges to them need."""

    features: Tensor
    """[M, F]."""
    groups: Tensor
    """int64 [M], group labels; -1: of no known group."""
    unit: Tensor
    """[M], squared distance of each point to its own LOCAL-th neighbour in the bank."""

    @classmethod
    @torch.no_grad()
    def of(cls, features: Tensor, groups: Tensor) -> "Bank":
        """The bank of these points. Duplicates have a unit above 0."""
        features = features.detach()
        index = nearest(features, LOCAL)
        if index.shape[1] == 0:
            return cls(features, groups, features.new_ones(len(features)))
        unit = (features - features[index[:, -1]]).square().sum(1)
        floor = unit.mean().clamp_min(torch.finfo(unit.dtype).tiny) * 1e-3
        return cls(features, groups, unit.clamp_min(floor))

    def __len__(self) -> int:
        return len(self.features)

    def first(self, count: int) -> "Bank":
        """Its first points, with the units that they have in all of it."""
        return Bank(self.features[:count], self.groups[:count], self.unit[:count])

    def last(self, count: int) -> "Bank":
        """Its last points, with the units that they have in all of it."""
        return Bank(self.features[-count:], self.groups[-count:], self.unit[-count:])

    def like(self, features: Tensor, groups: Tensor) -> "Bank":
        """A bank of other points [Q, F], each with the unit of its nearest point here."""
        return Bank(features, groups, self.unit[self.nearest(features, 1)[:, 0]])

    @torch.no_grad()
    def without_copies_of(self, images: Tensor) -> "Bank":
        """The bank without near-copies of these real images [N, F]; itself where it has none.

        Else a real image would be known by its copy.
        """
        index = self.nearest(images, LOCAL)
        squared = (images[:, None] - self.features[index]).square().sum(-1)
        copies = index[squared < COPY * self.unit[index]]
        if not len(copies):
            return self
        kept = torch.ones(len(self), dtype=torch.bool, device=self.features.device)
        kept[copies] = False
        left = Bank(self.features[kept], self.groups[kept], self.unit[kept])
        return left.without_copies_of(images) if len(left) else left  # there may be more than 8

    @cached_property
    def _centred(self) -> tuple[Tensor, Tensor, Tensor]:
        """The mean, the points less the mean, and half their squared lengths."""
        centre = self.features.mean(0)
        centred = self.features - centre
        return centre, centred, centred.square().sum(1) / 2

    @torch.no_grad()
    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """int64 [N, min(k, M)], nearest first; without gradient.

        By one product of matrices, in a third of the time of models/neighbours.py: where two points
        are as near to within rounding, either may come first, which no play depends on.
        """
        centre, centred, half = self._centred
        with torch.autocast(centre.device.type, enabled=False):
            score = half - (queries.detach().to(centre) - centre) @ centred.T
        return score.topk(min(k, len(self)), dim=1, largest=False, sorted=True).indices
