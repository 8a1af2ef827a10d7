import torch
from torch.autograd import gradcheck, gradgradcheck

from discriminators.knn_graph import knn_graph
from discriminators.structure_conv import StructureConv


def make(n=9, width=6, k=3):
    torch.manual_seed(0)
    conv = StructureConv(width, 1).double()
    h = torch.randn(n, width, dtype=torch.float64)
    labels = torch.arange(n) % 2
    edges = knn_graph(h, k)
    same = (labels[edges[0]] == labels[edges[1]]).double()[:, None]
    return conv, h, labels, edges, same


def test_equals_the_dense_formula():
    conv, h, labels, edges, same = make()
    adjacency = torch.zeros(len(h), len(h), dtype=torch.float64)  # [centre, neighbour]
    adjacency[edges[1], edges[0]] = 1
    centre = h[:, None].expand(-1, len(h), -1)
    difference = h[None, :] - h[:, None]  # [centre, neighbour, width]
    distance = torch.log1p(difference.square().sum(-1, keepdim=True))
    equal = (labels[:, None] == labels[None, :]).double()[..., None]
    messages = conv.nn(torch.cat([centre, difference, distance, equal], -1))
    dense = (adjacency[..., None] * messages).sum(1) / adjacency.sum(1, keepdim=True)
    torch.testing.assert_close(conv(h, edges, same), dense, rtol=1e-12, atol=1e-12)


def test_first_and_second_derivatives():
    conv, h, _, edges, same = make(n=5, width=3, k=2)
    h.requires_grad_()
    assert gradcheck(lambda x: conv(x, edges, same), h)
    assert gradgradcheck(lambda x: conv(x, edges, same).square(), h)


def test_finite_at_duplicates():
    conv, h, _, edges, same = make()
    h = h[:1].expand(len(h), -1).clone().requires_grad_()
    (first,) = torch.autograd.grad(conv(h, edges, same).sum(), h, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), h, allow_unused=True)
    assert torch.isfinite(first).all()
    assert second is None or torch.isfinite(second).all()


def test_a_node_without_edges_gets_zero():
    conv, h, *_ = make()
    alone = conv(h, torch.empty(2, 0, dtype=torch.int64), torch.empty(0, 1, dtype=torch.float64))
    assert alone.shape == h.shape and not alone.any()
