"""Each layer gives for bands what it gives for the whole image."""

import runpy
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from models.bands import StackedBands
from models.layers.attention import CosineAttention
from models.layers.exchange import Overlapping
from models.layers.graph_conv import GraphConv
from models.layers.magnitude_preserving import MPConv

NEARBY = runpy.run_path(str(Path(__file__).with_name("network.py")))
COUNTS = [1, 2, 4]


def cut(x: torch.Tensor, count: int) -> torch.Tensor:
    """Bands of whole images, without their neighbours' rows."""
    return torch.cat(x.chunk(count, dim=2))


@pytest.fixture
def x() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 8, 8, 6, dtype=torch.float64)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: MPConv(8, 5, 3),
        lambda: MPConv(8, 5, 1),
        lambda: CosineAttention(8, 2),
        lambda: GraphConv(8, 4, 16),
    ],
    ids=["conv3", "conv1", "attention", "graph"],
)
def test_fresh_bands_equal_the_whole_image(make, count, x):
    layer = make().double()
    whole = layer(x)
    layer.exchange = exchange = StackedBands(count)
    assert torch.allclose(exchange.join(layer(cut(x, count))), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("count", COUNTS)
def test_neighbours_are_those_of_the_whole_image(count, x):
    x[:, :, 5] = x[:, :, 1]  # duplicates in other bands, so that ties decide
    x[:, :, 6, :3] = x[:, :, 0, :1]
    layer = GraphConv(8, 5, 16).double()
    tokens = x.flatten(2).transpose(1, 2)
    _, whole = layer.neighbours(tokens)
    layer.exchange = StackedBands(count)
    _, bands = layer.neighbours(torch.cat(tokens.chunk(count, dim=1)))
    assert torch.equal(torch.cat(bands.chunk(count), dim=1), whole)


def test_more_duplicates_than_neighbours_leave_out_the_token_itself():
    tokens = torch.zeros(1, 12, 3)
    layer = GraphConv(3, 2, 4)
    _, whole = layer.neighbours(tokens)
    layer.exchange = StackedBands(3)
    _, bands = layer.neighbours(torch.cat(tokens.chunk(3, dim=1)))
    assert torch.equal(torch.cat(bands.chunk(3), dim=1), whole)


@pytest.mark.parametrize("count", [2, 4])
def test_the_first_convolution_reads_its_neighbours_rows_from_the_cut_image(count, x):
    """Its channel of ones, which stands for a bias, is zero beyond the image alone."""
    layer = MPConv(9, 5, 3).double()
    whole = layer(torch.cat([x, torch.ones_like(x[:, :1])], 1))
    exchange = StackedBands(count)
    layer.exchange = Overlapping(exchange)
    bands = exchange.cut(x)
    found = layer(torch.cat([bands, torch.ones_like(bands[:, :1])], 1))
    assert torch.allclose(exchange.join(found), whole, rtol=0, atol=1e-12)
    assert exchange.sent_bytes == 0


def test_displaced_layers_use_exactly_the_evaluation_before(x):
    layer = MPConv(8, 5, 3).double()
    layer.exchange = exchange = StackedBands(2)
    inputs = [x, 2 * x, 3 * x]
    exchange.begin(fresh=True)
    layer(cut(inputs[0], 2))
    for before, now in pairwise(inputs):
        exchange.begin(fresh=False)
        found = exchange.join(layer(cut(now, 2)))
        for band, rows in ((0, slice(0, 4)), (1, slice(4, 8))):
            mixed = before.clone()
            mixed[:, :, rows] = now[:, :, rows]  # the other band as it was
            layer.exchange = None
            expected = layer(mixed)[:, :, rows]
            layer.exchange = exchange
            assert torch.allclose(found[:, :, rows], expected, rtol=0, atol=1e-12), band


def test_displaced_attention_has_its_own_keys_fresh(x):
    layer = CosineAttention(8, 2).double()
    layer.exchange = exchange = StackedBands(4)
    exchange.begin(fresh=True)
    layer(cut(x, 4))
    now = x.flip(0)
    exchange.begin(fresh=False)
    found = exchange.join(layer(cut(now, 4)))
    mixed = x.clone()
    mixed[:, :, 2:4] = now[:, :, 2:4]
    layer.exchange = None
    assert torch.allclose(found[:, :, 2:4], layer(mixed)[:, :, 2:4], rtol=0, atol=1e-12)


def test_rows_that_do_not_divide_are_refused(x):
    with pytest.raises(ValueError, match="8 rows cannot be cut into 3 equal bands"):
        StackedBands(3).cut(x)
    with pytest.raises(ValueError, match="at least one"):
        StackedBands(0)
