"""The unpaired discriminators: of the batch's neighbour graph, and its edgeless control."""

import torch
from torch import Tensor, nn

from discriminators.config import StructureConfig
from discriminators.form import Form, LossD
from discriminators.knn_graph import knn_graph
from discriminators.losses import LOSSES, gradient_penalty, pair_accuracy
from discriminators.structure_conv import StructureConv


class GraphDiscriminator(Form):
    """Graph convolutions over the kNN graph of one set of features [N, F]; logits [N].

    Real and fake are separate graphs: a joint one would leak which is which. The layers are
    residual, h + LayerNorm(conv(h)): the norm stands on the update alone, so distances between
    nodes, and with them the density of the cloud, reach every layer. Each logit is the node's own
    plus one of the whole graph (from the mean of its nodes).
    """

    paired = False

    def __init__(self, num_features: int, config: StructureConfig):
        super().__init__()
        self.k = config.k
        self.gamma = config.gamma
        self.objective_d, self.objective_g = LOSSES[config.loss]
        width = config.width
        self.input = nn.Linear(num_features, width)
        self.convs = nn.ModuleList(StructureConv(width) for _ in range(config.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.node_head = _head(width)
        self.graph_head = _head(width)

    def edges(self, features: Tensor) -> Tensor:
        """edge_index int64 [2, E] of a set of features [N, F]; no gradient."""
        return knn_graph(features.detach(), self.k)

    def neighbours(self, num_samples: int) -> int:
        return min(self.k, num_samples - 1)

    def pooled(self, h: Tensor) -> Tensor:
        """What the graph logit is made from, [N, width] -> [1, width]."""
        return h.mean(0, keepdim=True)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """features [N, F], labels int64 [N] -> logits [N]."""
        edge_index = self.edges(features)
        same_label = (labels[edge_index[0]] == labels[edge_index[1]]).to(features.dtype)
        h = self.input(features)  # [N, width]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = h + norm(conv(h, edge_index, same_label))
        return (self.node_head(h) + self.graph_head(self.pooled(h)))[:, 0]

    def loss_d(self, real: Tensor, fake: Tensor, labels: Tensor) -> LossD:
        real = real.detach().requires_grad_()
        fake = fake.detach().requires_grad_()
        real_logits, fake_logits = self(real, labels), self(fake, labels)
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
        with torch.no_grad():
            real_logits = self(real, labels)
        return self.objective_g(real_logits, self(fake, labels))

    @torch.no_grad()
    def soften(self, factor: float) -> None:
        for head in (self.node_head, self.graph_head):
            for parameter in head[-1].parameters():
                parameter.mul_(factor)


class PerSampleDiscriminator(GraphDiscriminator):
    """The same network without edges: each logit depends on its own sample only.

    Each node's one neighbour is itself, and the graph logit is made from the node alone, so the
    number of parameters is that of the graph form.
    """

    def edges(self, features: Tensor) -> Tensor:
        return torch.arange(len(features), device=features.device).expand(2, -1)

    def neighbours(self, num_samples: int) -> int:
        return 0

    def pooled(self, h: Tensor) -> Tensor:
        return h


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
