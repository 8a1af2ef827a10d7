"""The unpaired discriminators: of the batch's neighbour graph, and its edgeless control."""

import torch
from torch import Tensor, nn

from discriminators.config import StructureConfig
from discriminators.form import Form, LossD
from discriminators.knn_graph import knn_graph
from discriminators.losses import LOSSES, gradient_penalty, pair_accuracy
from discriminators.structure_conv import StructureConv

SHORTEST = 0.05
"""Added to squared edge lengths in units of the real batch's, before the logarithm."""


class GraphDiscriminator(Form):
    """Graph convolutions over the kNN graph of one set of features [N, F]; logits [N].

    Real and fake are separate graphs: a joint one would leak which is which. The layers are
    residual, h + LayerNorm(conv(h)): the norm stands on the update alone, so distances between
    nodes, and with them the density of the cloud, reach every layer. Every edge carries its length
    in units of the real batch's.
    """

    paired = False

    def __init__(self, num_features: int, config: StructureConfig):
        super().__init__()
        self.k = config.k
        self.gamma = config.gamma
        self.objective_d, self.objective_g = LOSSES[config.loss]
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

    def unit(self, real: Tensor) -> Tensor:
        """Mean squared length of the edges of a real batch [N, F]; a scalar, no gradient."""
        real = real.detach()
        lengths = _squared_lengths(real, knn_graph(real, self.k))
        return (lengths.sum() / max(len(lengths), 1)).clamp_min(1e-6)

    def forward(self, features: Tensor, labels: Tensor, unit: Tensor | None = None) -> Tensor:
        """features [N, F], labels int64 [N] -> logits [N]; `unit` of the real batch, None: its own."""
        unit = self.unit(features) if unit is None else unit
        edge_index = self.edges(features)
        length = (_squared_lengths(features, edge_index) / unit + SHORTEST).log()
        same_label = (labels[edge_index[0]] == labels[edge_index[1]]).to(features.dtype)
        edges = torch.stack([length, same_label], 1)  # [E, 2]
        h = self.input(features)  # [N, width]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = h + norm(conv(h, edge_index, edges))
        return self.head(h)[:, 0]

    def loss_d(self, real: Tensor, fake: Tensor, labels: Tensor) -> LossD:
        real = real.detach().requires_grad_()
        fake = fake.detach().requires_grad_()
        unit = self.unit(real)
        real_logits, fake_logits = self(real, labels, unit), self(fake, labels, unit)
        r1, r2 = gradient_penalty(real_logits, real), gradient_penalty(fake_logits, fake)
        report = {
            "real_logit": real_logits.mean(),
            "fake_logit": fake_logits.mean(),
            "logit_gap": real_logits.mean() - fake_logits.mean(),
            "accuracy": pair_accuracy(real_logits, fake_logits),
            "r1": r1,
            "r2": r2,
        }
        adversarial = self.objective_d(real_logits, fake_logits)
        return LossD(adversarial, 0.5 * self.gamma * (r1 + r2), report)

    def loss_g(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        unit = self.unit(real)
        with torch.no_grad():
            real_logits = self(real, labels, unit)
        return self.objective_g(real_logits, self(fake, labels, unit))

    @torch.no_grad()
    def soften(self, factor: float) -> None:
        for parameter in self.head[-1].parameters():
            parameter.mul_(factor)


class PerSampleDiscriminator(GraphDiscriminator):
    """The same network without edges: each logit depends on its own sample only.

    Each node's one neighbour is itself, so the number of parameters is that of the graph form.
    """

    def edges(self, features: Tensor) -> Tensor:
        return torch.arange(len(features), device=features.device).expand(2, -1)

    def neighbours(self, num_samples: int) -> int:
        return 0


def _squared_lengths(features: Tensor, edge_index: Tensor) -> Tensor:
    """Of each edge, [E]; a sum of squares, so its gradient is finite at duplicated points."""
    return (features[edge_index[0]] - features[edge_index[1]]).square().sum(-1)
