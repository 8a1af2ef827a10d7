"""The graph of a batch: each sample is joined to its nearest neighbours."""

import torch
from torch import Tensor

from models.neighbours import nearest


def knn_graph(points: Tensor, k: int) -> Tensor:
    """Directed graph from each point's k nearest other points to the point.

    Exact; no self-loops; of equally far points the lower index counts as nearer. The edges of one
    centre are contiguous, nearest first. They carry no gradient.

    Args:
        points: floating [N, F].
        k: neighbours of each point, at least 1; where N - 1 is less, all others.

    Returns:
        edge_index int64 [2, N * min(k, N - 1)]: row 0 the neighbour (source), row 1 the centre
        (target). A single point has no edges.
    """
    if points.dim() != 2:
        raise ValueError(f"knn_graph: points must be [N, F], got {list(points.shape)}")
    neighbours = nearest(points, k)  # [N, min(k, N - 1)]
    centres = torch.arange(len(points), device=points.device)[:, None].expand_as(neighbours)
    return torch.stack([neighbours.reshape(-1), centres.reshape(-1)])
