"""The paired form: compares the fakes' similarities to one another with those of their sources."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from discriminators.config import AFFINITY_MOST, DiscriminatorConfig
from discriminators.form import Form, LossD
from discriminators.losses import gradient_penalty


class AffinityDiscriminator(Form):
    r"""Distance between the pairwise-affinity matrices of the sources and of their fakes.

    A_{ij} = cos(e(f_i), e(f_j)) with a trained encoder e, and for each sample i

    .. math:: D_i = \mathrm{mean}_{j \ne i} (A^{real}_{ij} - A^{fake}_{ij})^2.

    The encoder maximises mean_i D_i, the denoiser minimises it (SADM, CVPR 2024, as far as it is
    public: the manifold loss between structures of a mini-batch). Groups play no part. A batch of
    one has no pairs, and distance 0.
    """

    paired = True

    def __init__(self, num_features: int, config: DiscriminatorConfig):
        super().__init__()
        self.gamma_r1, self.gamma_r2 = config.gammas
        widths = [num_features] + [config.width] * config.layers
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.encoder = nn.Sequential(*layers, nn.Linear(widths[-1], config.width))

    def neighbours(self, num_samples: int) -> int:
        return num_samples - 1

    def affinity(self, features: Tensor) -> Tensor:
        """Cosine similarity of the encoded samples, [N, F] -> [N, N]."""
        encoded = F.normalize(self.encoder(features), dim=-1, eps=1e-6)
        return encoded @ encoded.T

    def distances(self, real: Tensor, fake: Tensor) -> Tensor:
        """D_i, each sample's share of the distance, [N]."""
        # The diagonals are 1 in both matrices, so the sum runs over j != i.
        difference = (self.affinity(real) - self.affinity(fake)).square()
        return difference.sum(-1) / max(len(real) - 1, 1)

    def loss_d(self, real: Tensor, fake: Tensor, labels: Tensor) -> LossD:
        """Loss of the encoder; features of the global batch, fake[i] made from real[i].

        There are no logits. For the gate, the report's "logit_gap" is the distance between fakes
        and sources, divided by the distance between the sources and the same in another order: 0
        where the two matrices are equal, 1 where the fakes are unrelated to their sources, cut off
        at 2. Its "accuracy" maps a gap of 0 .. 1 to 0.5 .. 1.
        """
        real = real.detach().requires_grad_()
        fake = fake.detach().requires_grad_()
        distances = self.distances(real, fake)
        r1, r2 = gradient_penalty(distances, real), gradient_penalty(distances, fake)
        with torch.no_grad():
            unrelated = self.distances(real, real.roll(1, 0)).mean()
            gap = (distances.mean() / unrelated.clamp_min(1e-12)).clamp_max(AFFINITY_MOST)
        report = {
            "distance": distances.mean(),
            "logit_gap": gap,
            "accuracy": 0.5 + 0.5 * gap.clamp(0, 1),
            "r1": r1,
            "r2": r2,
        }
        return LossD(-distances.mean(), 0.5 * (self.gamma_r1 * r1 + self.gamma_r2 * r2), report)

    def loss_g(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        return self.distances(real.detach(), fake).mean()
