"""The predicted time of an evaluation in bands, on cases that can be worked out by hand."""

import itertools
import runpy
import time
from pathlib import Path

import pytest

from models.bands import StackedBands
from models.layers.attention import CosineAttention
from models.layers.graph_conv import GraphConv
from models.layers.magnitude_preserving import MPConv
from sampling.band_cost import BandCost, Exchanged, Link, LoneBand, measure_band
from sampling.banded import BandedDenoiser

NEARBY = runpy.run_path(str(Path(__file__).parents[1] / "models" / "bands" / "network.py"))
network, inputs = NEARBY["network"], NEARBY["inputs"]
FAST = Link(0.0, 1e15)
ROW = Exchanged(before=1.0, meanwhile=2.0, bytes=100, receivers=1, fresh=False)
OUTPUT = Exchanged(before=1.0, meanwhile=0.0, bytes=100, receivers=1, fresh=True)
COST = BandCost(2, (ROW, ROW, OUTPUT), after=0.5)


def test_without_a_link_only_computing_counts():
    assert COST.computing == pytest.approx(7.5)
    for displaced in (False, True):
        assert COST.seconds(FAST, displaced=displaced) == pytest.approx(7.5)


def test_fresh_values_are_waited_for_beyond_what_is_computed_meanwhile():
    # A row takes 5 s: 3 s longer than the 2 s meanwhile, at both rows; the output takes all 5 s.
    assert COST.seconds(Link(5.0, 1e15), displaced=False) == pytest.approx(7.5 + 3 + 3 + 5)
    assert COST.seconds(Link(1.0, 25.0), displaced=False) == pytest.approx(7.5 + 3 + 3 + 5)


def test_displaced_values_wait_for_the_output_alone():
    assert COST.seconds(Link(5.0, 1e15), displaced=True) == pytest.approx(7.5 + 5)


def test_a_link_that_is_too_narrow_holds_up_displaced_values_too():
    # Three messages of 10 s each leave one after the other, so an evaluation takes 30 s at least.
    assert COST.seconds(Link(0.0, 10.0), displaced=True) >= 30


def test_an_image_has_fresh_evaluations_first():
    link = Link(5.0, 1e15)
    fresh, displaced = (COST.seconds(link, displaced=d) for d in (False, True))
    assert COST.image_seconds(link, 8, None) == pytest.approx(8 * fresh)
    assert COST.image_seconds(link, 8, 1) == pytest.approx(2 * fresh + 6 * displaced)
    assert COST.image_seconds(link, 2, 7) == pytest.approx(2 * fresh)


def test_what_messages_cost_the_processors_is_shared_among_the_exchanges():
    found = COST.calibrated(9.0)
    assert found.computing == pytest.approx(9.0)
    assert [e.before for e in found.exchanges] == pytest.approx([1.5, 1.5, 1.5])
    assert COST.calibrated(7.0) == COST  # faster than alone is noise


def test_receivers_are_served_one_after_the_other():
    gather = Exchanged(0.0, 0.0, bytes=100, receivers=3, fresh=False)
    assert BandCost(4, (gather,), 0.0).seconds(Link(1.0, 100.0), displaced=False) == 6.0


def test_times_of_a_band_are_read_off_the_clock():
    denoiser, (x, sigma, labels) = network(), inputs()
    ticks = itertools.count()
    exchange = LoneBand(4, 1, lambda: float(next(ticks)))
    exchange.start()
    BandedDenoiser(denoiser, exchange)(x, sigma, labels)
    assert {note[:2] for note in exchange.noted} == {(1.0, 1.0), (1.0, 0.0)}
    # Every tick but those at which one exchange ends and the next begins was counted.
    counted = sum(note[0] + note[1] for note in exchange.noted)
    assert counted + len(exchange.noted) == next(ticks) - 1
    assert exchange.noted[-1][4] and not any(note[4] for note in exchange.noted[:-1])


def test_bytes_sent_are_those_of_the_formula():
    """Per inner edge 2 B C W for each 3x3 convolution but the first; to each other band 2 A numbers
    of every pixel for attention, and C of every token for the graph convolution."""
    denoiser, (x, sigma, labels) = network(), inputs()
    shapes = {}
    for layer in denoiser.unet.modules():
        if isinstance(layer, MPConv | CosineAttention | GraphConv):
            layer.register_forward_hook(
                lambda layer, given, out: shapes.__setitem__(layer, given[0].shape)
            )
    denoiser(x, sigma, labels)
    numbers = 0
    for layer, shape in shapes.items():
        if isinstance(layer, MPConv):
            if layer.weight.shape[-1] == 3 and layer is not denoiser.unet.input:
                numbers += 2 * shape[0] * shape[1] * shape[3]
        else:
            batch, channels, height, width = shape
            each = 2 * layer.width if isinstance(layer, CosineAttention) else channels
            numbers += batch * each * height * width
    for count in (2, 4):
        exchange = StackedBands(count)
        BandedDenoiser(denoiser, exchange)(x, sigma, labels)
        assert exchange.sent_bytes == numbers * (count - 1) * x.element_size()
        cost = measure_band(denoiser, count, x, sigma, labels, repeats=2)
        assert cost.count == count and cost.exchanges[-1].bytes == x.nbytes // count


def test_a_measured_band_computes_most_of_the_time_it_takes(monkeypatch):
    """In this process's own seconds, which others do not disturb."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    denoiser, (x, sigma, labels) = network(), inputs()
    measure_band(denoiser, 2, x, sigma, labels, repeats=1)  # the first call is slower
    begin = time.process_time()
    cost = measure_band(denoiser, 2, x, sigma, labels, repeats=5)
    each = (time.process_time() - begin) / 6  # one more warms up
    assert 0.3 * each < cost.computing < 1.5 * each
