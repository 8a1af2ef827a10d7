"""One graph convolution over the neighbour graph of a batch."""

import warnings

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    # torch-geometric 2.8 uses torch.jit.script, which newer versions of torch deprecate.
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.nn import EdgeConv


class StructureConv(EdgeConv):
    r"""EdgeConv (Wang et al., arXiv 1801.07829) that also sees distance and label.

    .. math::
        h'_i = \mathrm{mean}_{j \in N(i)}\; \phi([h_i,\; h_j - h_i,\; \log(1 + |h_i - h_j|^2),\;
        [y_i = y_j]])

    h [N, width], edge_index int64 [2, E], same_label [E] -> [N, width]. The squared distance is a
    sum of squares, never a root, so its gradients are finite at duplicated points. A node without
    edges gets zero.
    """

    def __init__(self, width: int):
        network = nn.Sequential(nn.Linear(2 * width + 2, width), nn.SiLU(), nn.Linear(width, width))
        super().__init__(network, aggr="mean")

    def forward(self, h: Tensor, edge_index: Tensor, same_label: Tensor) -> Tensor:
        # propagate_type: (x: Tensor, same_label: Tensor)
        return self.propagate(edge_index, x=h, same_label=same_label)

    def message(self, x_i: Tensor, x_j: Tensor, same_label: Tensor) -> Tensor:
        difference = x_j - x_i  # [E, width]
        distance = difference.square().sum(-1, keepdim=True).log1p()  # [E, 1]
        return self.nn(torch.cat([x_i, difference, distance, same_label[:, None]], -1))
