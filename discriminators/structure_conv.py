"""One graph convolution over the neighbour graph of a batch."""

import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn


class StructureConv(nn.Module):
    r"""EdgeConv (Wang et al., arXiv 1801.07829) that also sees distances and features of the edges.

    .. math::
        h'_i = \mathrm{mean}_{j \in N(i)}\; \phi([h_i,\; h_j - h_i,\; \log(1 + |h_i - h_j|^2),\;
        a_{ij}])

    h [N, width], edge_index int64 [2, E], edges a [E, edge_width] -> [N, width]. The squared
    distance is a sum of squares, never a root, so its gradients are finite at duplicated points. A
    node without edges gets zero. (PyG's `MessagePassing` is not used, because every process that
    uses it leaves a generated file in the temporary folder.)
    """

    def __init__(self, width: int, edge_width: int):
        super().__init__()
        inputs = 2 * width + 1 + edge_width
        self.nn = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, h: Tensor, edge_index: Tensor, edges: Tensor) -> Tensor:
        neighbour, centre = edge_index
        difference = _rows(h, neighbour) - _rows(h, centre)  # [E, width]
        distance = difference.square().sum(-1, keepdim=True).log1p()  # [E, 1]
        messages = self.nn(torch.cat([_rows(h, centre), difference, distance, edges], -1))
        return _scatter()(messages, centre, dim_size=len(h), reduce="mean")


def _rows(h: Tensor, index: Tensor) -> Tensor:
    """h[index], whose gradient does not vary with threads: that of h[index] sums in any order."""
    return h.index_select(0, index)


@cache
def _scatter() -> Any:
    """torch-geometric's `scatter`; the package takes seconds to import."""
    with warnings.catch_warnings():
        # torch-geometric 2.8 uses torch.jit.script, which newer versions of torch deprecate.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch_geometric.utils import scatter
    return scatter
