"""Two discriminators: one reads the neighbour graph of a batch, its control no edges."""

import torch
from torch import Tensor, nn

from discriminators.config import DiscriminatorConfig
from discriminators.knn_graph import knn_graph
from discriminators.logit_form import LogitForm
from discriminators.structure_conv import StructureConv

SHORTEST = 0.05
"""Added to squared edge lengths, in units of real edges, before the logarithm."""


class GraphDiscriminator(LogitForm):
    """Graph convolutions over the kNN graph of one set of features [N, F]; logits [N].

    Real and fake are separate graphs: a joint one would leak which is which. The layers are
    residual, h + LayerNorm(conv(h)): only the update is normalised, so every layer still sees the
    distances between nodes, and so how dense the points are. Every edge carries its length, in
    units of the edges between real images (see `calibrate`).
    """

    unit: Tensor

    def __init__(self, num_features: int, config: DiscriminatorConfig):
        super().__init__(config)
        self.k = config.k
        self.register_buffer("unit", torch.ones(()))
        width = config.width
        self.input = nn.Linear(num_features, width)
        self.convs = nn.ModuleList(StructureConv(width, 2) for _ in range(config.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def edges(self, features: Tensor) -> Tensor:
        """edge_index int64 [2, E] of a set of features [N, F]; no gradient."""
        return knn_graph(features.detach(), self.k)

    def neighbours(self, num_samples: int) -> int:
        return min(self.k, num_samples - 1)

    @torch.no_grad()
    def calibrate(self, real: Tensor, batch_size: int) -> None:
        """Set the unit: the mean squared length of edges in graphs of `batch_size` real images.

        It is fixed before the game, since a unit taken from each play's own reals would reveal
        which of the two sets is the real one.
        """
        batches = real.split(min(batch_size, len(real)))
        whole = [batch for batch in batches if len(batch) == len(batches[0])]
        lengths = [_squared_lengths(batch, knn_graph(batch, self.k)) for batch in whole]
        every = torch.cat(lengths)
        if len(every):  # one image alone has no edge: the unit stays as it is
            self.unit.copy_(every.mean().clamp_min(1e-6))

    def forward(self, features: Tensor, groups: Tensor) -> Tensor:
        """features [N, F], group labels int64 [N] -> logits [N]."""
        edge_index = self.edges(features)
        length = (_squared_lengths(features, edge_index) / self.unit + SHORTEST).log()
        same_group = (groups[edge_index[0]] == groups[edge_index[1]]).to(features.dtype)
        edges = torch.stack([length, same_group], 1)  # [E, 2]
        h = self.input(features)  # [N, width]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = h + norm(conv(h, edge_index, edges))
        return self.head(h)[:, 0]


class PerSampleDiscriminator(GraphDiscriminator):
    """The same network without edges between samples: each logit depends on its own sample only.

    Each node is its own one neighbour, so the parameters are those of the graph form.
    """

    def edges(self, features: Tensor) -> Tensor:
        return torch.arange(len(features), device=features.device).expand(2, -1)

    def neighbours(self, num_samples: int) -> int:
        return 0


def _squared_lengths(features: Tensor, edge_index: Tensor) -> Tensor:
    """Of each edge, [E]; a sum of squares, so its gradient is finite at duplicated points."""
    neighbour, centre = (features.index_select(0, end) for end in edge_index)  # [E, F]
    return (neighbour - centre).square().sum(-1)
