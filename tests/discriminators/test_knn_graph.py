import pytest
import torch

from discriminators.knn_graph import knn_graph


def brute_force(points: torch.Tensor, k: int) -> list[tuple[int, int]]:
    edges = []
    for centre in range(len(points)):
        others = [j for j in range(len(points)) if j != centre]
        others.sort(key=lambda j: (float((points[j] - points[centre]).norm()), j))
        edges += [(j, centre) for j in others[:k]]
    return edges


@pytest.mark.parametrize("n, k", [(1, 3), (2, 1), (7, 3), (7, 6), (7, 50), (40, 8)])
def test_equals_brute_force(n, k):
    points = torch.randn(n, 5, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    graph = knn_graph(points, k)
    assert graph.dtype == torch.int64 and graph.shape == (2, n * min(k, n - 1))
    assert [tuple(edge) for edge in graph.T.tolist()] == brute_force(points, k)


def test_duplicates_are_neighbours_and_ties_go_to_the_lower_index():
    points = torch.zeros(5, 3)
    assert knn_graph(points, 2).T.reshape(5, 2, 2)[:, :, 0].tolist() == [
        [1, 2],
        [0, 2],
        [0, 1],
        [0, 1],
        [0, 1],
    ]


def test_carries_no_gradient():
    points = torch.randn(6, 2, requires_grad=True)
    assert not knn_graph(points, 2).requires_grad


@pytest.mark.parametrize("shape, k", [((4,), 2), ((2, 4, 3), 2), ((4, 3), 0)])
def test_refuses_bad_input(shape, k):
    with pytest.raises(ValueError, match="must be"):
        knn_graph(torch.zeros(shape), k)
