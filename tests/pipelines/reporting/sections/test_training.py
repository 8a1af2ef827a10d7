"""Curves are named by what they are, and the game's part is told in words."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.reporting.sections import training
from training.config import NoiseConfig
from training.noise.levels import bin_edges, held_out_sigmas

made = SimpleNamespace(**run_path(str(Path(__file__).with_name("report_inputs.py"))))


@pytest.fixture
def charts(monkeypatch):
    """{title: names of its lines} of the charts that are drawn."""
    seen = {}

    def chart(title, lines, *rest):
        seen[title] = [line.label for line in lines]
        return b"png"

    monkeypatch.setattr(training, "line_chart", chart)
    return seen


def curve(*values):
    return np.arange(1.0, len(values) + 1), np.array(values)


def test_bins_of_noise_are_named_by_their_interval(charts):
    edges = bin_edges(NoiseConfig(), 8)
    curves = {f"held_out/bin{i}_loss": curve(0.5) for i in (0, 1, 7)}
    train = {"sigma_bin_edges": edges, "final": {"held_out/bin7_loss": 0.5, "loss": 1.0}}
    page = training.training(made.inputs(curves=curves, train=train))
    assert charts["Held-out loss by noise level σ"] == ["σ < 0.11", "0.11 to 0.2", "σ > 1.8"]
    assert "Held-out loss at σ &gt; 1.8" in page and "<code>Training loss</code>" in page
    assert "bin" not in page.replace("bin_", "")


@pytest.mark.parametrize("schedule", ["log_normal", "vp_cosine"])
def test_the_named_intervals_are_those_of_the_measured_noise(schedule):
    config = NoiseConfig(schedule=schedule)
    sigmas, bins = held_out_sigmas(config, 5, 400)
    edges = [0.0, *bin_edges(config, 5), float("inf")]
    for number in range(5):
        inside = sigmas[bins == number]
        assert edges[number] < inside.min() and inside.max() < edges[number + 1]


def test_bins_of_older_runs_have_numbers(charts):
    curves = {f"held_out/bin{i}_loss": curve(0.5) for i in range(3)}
    training.training(made.inputs(curves=curves))
    (lines,) = charts.values()
    assert lines == ["level 1 of 3", "level 2 of 3", "level 3 of 3"]
    assert training.noise_levels([], 1) == ["all levels"]


def test_every_chart_has_a_caption(charts):
    curves = {
        name: curve(0.5, 0.4)
        for name in (
            *("denoising_loss", "held_out/loss", "held_out/bin0_loss", "held_out/gap", "grad_norm"),
            *("structure/real_logit", "structure/lambda", "structure/gate_open", "structure/r1"),
        )
    }
    game = {"structure_kind": "graph", "structure_plays": 7, "gate": {"open_fraction": 0.5}}
    inputs = made.inputs(curves=curves, train=game)
    page = training.training(inputs) + training.game(inputs)
    assert page.count("<figcaption>") == len(charts) == 8
    assert "<figcaption></figcaption>" not in page
    assert "same noise each time, and so are as many training images. Better: lower." in page


@pytest.mark.parametrize(
    ("gate", "plays", "told"),
    [
        ({"open_fraction": 0.5, "shut_reasons": {"too early": 3}}, 7, "open in 50% of the plays."),
        ({"open_fraction": 0.5, "shut_reasons": {"too early": 3}}, 7, "too early (3 plays)"),
        ({"open_fraction": 0.0, "shut_reasons": {}}, 7, "The gate never opened in 7 plays, so"),
        ({"open_fraction": 0.0, "shut_reasons": {}}, 0, "never played"),
        ({}, 7, "played 7 times."),
    ],
)
def test_what_the_game_did_is_told(gate, plays, told):
    train = {"structure_kind": "graph", "structure_plays": plays, "gate": gate}
    assert told in training.game(made.inputs(train=train))
    assert training.game(made.inputs(train={"structure_kind": "none"})) == ""


def test_a_game_that_moves_an_adapter_is_told_as_one(charts):
    train = {
        "structure_kind": "graph",
        "structure_plays": 7,
        "gate": {"open_fraction": 0.5},
        "final": {"structure/lambda": 0.5, "loss": 1.0},
    }
    lambdas = {"structure/lambda": curve(0.5, 0.5)}
    own = made.inputs(train=train, curves=lambdas)
    assert "the held-out loss does not worsen" in training.game(own)
    assert "Weight of the game, lambda" in charts and "lambda" in training.training(own)
    charts.clear()
    adapted = made.inputs(train=train, curves=lambdas | {"structure/adapter_lr": curve(0.1, 0.0)})
    told = training.game(adapted)
    assert "lambda, is 1 then" in told and "does not worsen" not in told
    assert "Weight of the game, lambda" not in charts
    assert "lambda" not in training.training(adapted)
