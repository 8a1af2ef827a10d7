"""Forms that judge each sample beside a bank of real images, and one also beside recent fakes."""

import torch
from torch import Tensor, nn

from discriminators.bank import Bank
from discriminators.config import DiscriminatorConfig
from discriminators.logit_form import LogitForm
from discriminators.tangent_plane import tangent_statistics

SHORTEST = 0.05
"""Added to squared distances, in units of the bank's own, before the logarithm."""


class AnchoredForm(LogitForm):
    """A logit form whose network reads a bank; each logit depends on its own sample alone.

    Residual layers h + LayerNorm(phi(h)) follow what a derived class's `place` says of a sample.
    """

    uses_bank = True

    def __init__(self, num_features: int, config: DiscriminatorConfig):
        super().__init__(config)
        width = config.width
        self.input = nn.Linear(num_features, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(config.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        self.reals: Bank | None = None
        """Set by `anchor`; it is no state of the form."""

    def anchor(self, reals: Bank, fakes: Bank | None = None) -> None:
        self.reals = reals

    def place(self, features: Tensor, groups: Tensor) -> Tensor:
        """Samples [N, F] and groups int64 [N] -> [N, width]."""
        raise NotImplementedError

    def forward(self, features: Tensor, groups: Tensor) -> Tensor:
        h = self.place(features, groups)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = h + norm(layer(h))
        return self.head(h)[:, 0]


class TangentDiscriminator(AnchoredForm):
    """Sees where a sample lies beside the tangent plane of its nearest real images.

    Both sets of a play go through it, so at the optimum the residuals of fakes are those of reals,
    not zero.
    """

    def __init__(self, num_features: int, config: DiscriminatorConfig):
        super().__init__(num_features, config)
        self.dims, self.points = config.tangent_dims, config.tangent_neighbours
        self.statistics = nn.Linear(3, config.width, bias=False)

    def neighbours(self, num_samples: int) -> int:
        return self.points

    def place(self, features: Tensor, groups: Tensor) -> Tensor:
        assert self.reals is not None, "the game anchors the form first"
        found = tangent_statistics(features, self.reals, self.points, self.dims)
        return self.input(features) + self.statistics(found)


class BankDiscriminator(AnchoredForm):
    r"""Edges to the k nearest images of a bank of reals.

    .. math::
        h_i = W f_i + \mathrm{mean}_j\, \phi([W f_i,\; W b_j - W f_i,\; \log(1 + |W f_i - W b_j|^2),
        \log(|f_i - b_j|^2 / u_j + .05),\; set,\; same\ group])

    with u_j the squared distance of b_j to its own 8th neighbour: a unit of its place, and not the
    play's own, which would tell the real set apart.
    """

    uses_fakes = False

    def __init__(self, num_features: int, config: DiscriminatorConfig):
        super().__init__(num_features, config)
        self.k = config.k
        width = config.width
        self.edge = nn.Sequential(
            nn.Linear(2 * width + 4, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.banks: list[Bank] = []

    def neighbours(self, num_samples: int) -> int:
        return self.k * (2 if self.uses_fakes else 1)

    def anchor(self, reals: Bank, fakes: Bank | None = None) -> None:
        super().anchor(reals)
        self.banks = [reals]

    def place(self, features: Tensor, groups: Tensor) -> Tensor:
        h = self.input(features)
        messages = [
            self._messages(features, groups, h, bank, float(number))
            for number, bank in enumerate(self.banks)
        ]
        return h + torch.cat(messages, 1).mean(1) if messages else h

    def _messages(
        self, features: Tensor, groups: Tensor, h: Tensor, bank: Bank, number: float
    ) -> Tensor:
        """[N, k, width]."""
        index = bank.nearest(features, self.k)  # [N, k]
        points = bank.features[index]  # [N, k, F]
        difference = self.input(points) - h[:, None]
        squared = (features[:, None] - points).square().sum(-1)
        edges = torch.stack(
            [
                difference.square().sum(-1).log1p(),
                (squared / bank.unit[index] + SHORTEST).log(),
                torch.full_like(squared, number),
                (bank.groups[index] == groups[:, None]).to(squared.dtype),
            ],
            -1,
        )
        centres = h[:, None].expand_as(difference)
        return self.edge(torch.cat([centres, difference, edges], -1))


class TwoBankDiscriminator(BankDiscriminator):
    """Edges to the nearest of a bank of reals, and to the nearest of as many recent fakes.

    What a bank of reals pulls together, the fakes' own crowd pushes apart. While there are fewer
    recent fakes than k the form sees neither bank.
    """

    uses_fakes = True

    def anchor(self, reals: Bank, fakes: Bank | None = None) -> None:
        AnchoredForm.anchor(self, reals)
        self.banks = [] if fakes is None or len(fakes) <= self.k else [reals, fakes]
