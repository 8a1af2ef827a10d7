"""The loop: the same result however it is split or interrupted."""

import json
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

from foundation.workers import World
from models.codecs import PixelCodec
from models.ema_reconstruction import list_snapshots, reconstruct
from models.power_ema import sigma_rel_to_gamma
from models.weights import load_tensors
from training.averaged_weights import ema_denoiser
from training.events import (
    GateChanged,
    HeldOutMeasured,
    Logged,
    Message,
    Started,
)
from training.held_out import HeldOutLoss
from training.loop import TrainingDiverged, train
from training.methods.build import build_method
from training.methods.denoising import Denoising
from training.structure.config import GateConfig, StructureConfig
from training.structure.gate import Gate

runs = SimpleNamespace(**run_path(str(Path(__file__).with_name("small_runs.py"))))
SMALL, settings, final, assert_same = runs.SMALL, runs.settings, runs.final, runs.assert_same
WEIGHTS, OUTPUT, Interrupted = runs.WEIGHTS, runs.OUTPUT, runs.Interrupted
train_whole_and_interrupted = runs.train_whole_and_interrupted


@pytest.mark.parametrize("game", ["none", "graph"])
def test_interrupted_run_equals_uninterrupted(digits, tmp_path, game):
    config = settings(game=game, checkpoint_every_s=0)
    events = train_whole_and_interrupted(config, digits, tmp_path)
    assert events[0] == Started(80, total_nimg=128, resumed=True)
    assert_same(final(tmp_path / "whole"), final(tmp_path / "cut"), rtol=0, atol=0)
    if game == "graph":  # and it has moved the denoiser
        assert final(tmp_path / "cut")[1]["method"]["game"]["gate"]["open_plays"] >= 1
    for name in ("curves.csv", "train.json"):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "cut" / name).read_text()


def adapter_settings(game):
    structure = StructureConfig(
        kind=game,
        fakes="deployed",
        start_kimg=0.03,
        every=2,
        width=8,
        k=3,
        statistics_images=32,
        batch_size=16,
        adapter_lr=0.01,
        lr=0.01,
        opponent_steps=3,
        gate=GateConfig(chance_margin=0.0, min_plays=1, win_gap=1e6, smoothing=0.0),
    )
    model = SMALL.model_copy(update={"adapter_rank": 2})
    return settings(model=model, checkpoint_every_s=0).model_copy(update={"structure": structure})


def test_a_game_for_the_adapter_leaves_the_denoiser_bitwise_its_control(digits, tmp_path):
    for game in ("none", "graph"):
        train(adapter_settings(game), digits, tmp_path / game, World())
    (control, _), (played, plain) = (final(tmp_path / game) for game in ("none", "graph"))
    game = plain["method"]
    assert game["plays"] == 3 and game["game"]["gate"]["open_plays"] >= 1
    moved = 0
    for name, tensor in control.items():
        if name.startswith(WEIGHTS):
            if ".adapters." in name:
                moved += not torch.equal(tensor, played[name])
            else:
                assert torch.equal(tensor, played[name]), name
    assert moved > 10


def test_an_interrupted_game_for_the_adapter_equals_uninterrupted(digits, tmp_path):
    config = adapter_settings("graph")
    events = train_whole_and_interrupted(config, digits, tmp_path)
    assert_same(final(tmp_path / "whole"), final(tmp_path / "cut"), rtol=0, atol=0)
    assert any(name.endswith("recent.0.fake") for name in final(tmp_path / "cut")[0])
    logged = [e.metrics for e in events if isinstance(e, Logged)]
    assert logged[-1]["structure/adapter_lr"] == 0 < logged[0]["structure/adapter_lr"] < 0.01


def test_damaged_checkpoint_is_named_and_the_one_before_it_used(digits, tmp_path):
    config = settings(checkpoint_every_s=0)
    train(config, digits, tmp_path / "run", World())
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert len(newest) == 2
    blob = bytearray(newest[-1].read_bytes())
    blob[-50] ^= 1
    newest[-1].write_bytes(blob)
    events = []
    train(config, digits, tmp_path / "run", World(), events.append)
    assert isinstance(events[0], Message) and newest[-1].name in events[0].text
    assert events[1] == Started(112, total_nimg=128, resumed=True)


DROPPING = SMALL.model_copy(update={"dropout": 0.2})


@pytest.mark.parametrize(("micro", "model"), [(3, SMALL), (8, SMALL), (3, DROPPING)])
def test_accumulation_changes_nothing_but_rounding(digits, tmp_path, micro, model):
    train(settings(0.048, model=model), digits, tmp_path / "whole", World())
    train(settings(0.048, model=model, micro_batch=micro), digits, tmp_path / "parts", World())
    assert_same(final(tmp_path / "whole"), final(tmp_path / "parts"), rtol=1e-3, atol=2e-5)


def test_two_workers_follow_the_curve_of_one(digits, digits_folder, tmp_path, free_port):
    config = settings(game="graph", model=DROPPING)
    train(config, digits, tmp_path / "one", World())
    runs.train_on_two_workers(config, digits_folder, tmp_path / "two", free_port)
    curves = [
        [json.loads(line) for line in (tmp_path / run / "curves.jsonl").read_text().splitlines()]
        for run in ("one", "two")
    ]
    assert len(curves[0]) == len(curves[1]) >= 4
    moved = [point["structure/lambda"] for point in curves[0] if "structure/lambda" in point]
    assert any(moved)  # the game has had its part in the denoiser's steps
    for a, b in zip(*curves, strict=True):
        assert a.keys() == b.keys()
        for name, rel in (
            ("loss", 2e-4),
            ("denoising_loss", 2e-4),
            ("held_out/loss", 2e-4),
            ("structure/lambda", 2e-3),
        ):
            if name in a:
                assert a[name] == pytest.approx(b[name], rel=rel), (a["nimg"], name)
    # A share of the gradient left out anywhere moves weights a hundred times as far apart.
    assert_same(final(tmp_path / "one"), final(tmp_path / "two"), rtol=1e-3, atol=4e-5)


def test_workers_may_come_and_go_between_starts(digits, digits_folder, tmp_path, free_port):
    """Two, then one process, then two again, at the same global batch."""
    parts = [settings(kimg, game="graph", model=DROPPING) for kimg in (0.064, 0.096, 0.128)]
    train(parts[-1], digits, tmp_path / "one", World())
    runs.train_on_two_workers(parts[0], digits_folder, tmp_path / "both", free_port)
    events = []
    train(parts[1], digits, tmp_path / "both", World(), events.append)
    assert Started(64, 96, resumed=True) in events
    runs.train_on_two_workers(parts[2], digits_folder, tmp_path / "both", free_port)
    assert_same(final(tmp_path / "one"), final(tmp_path / "both"), rtol=1e-3, atol=4e-5)


def test_the_gate_compares_with_what_was_before_the_first_play(digits, tmp_path, monkeypatch):
    """Even where no measurement of the curve lies before it."""
    base = settings(0.064, game="graph")
    config = base.model_copy(
        update={
            "structure": base.structure.model_copy(
                update={"start_kimg": 0.0, "gate": GateConfig(min_plays=100)}
            ),
            "train": base.train.model_copy(
                update={"held_out_every_kimg": 100.0, "lr": 1.0, "lr_ramp_kimg": 0.0}
            ),
        }
    )
    events, told = [], []
    observe = Gate.observe_held_out

    def spy(self, held_out, train, nimg, memory):
        told.append((nimg, memory))
        observe(self, held_out, train, nimg, memory)

    monkeypatch.setattr(Gate, "observe_held_out", spy)
    train(config, digits, tmp_path / "run", World(), events.append)
    assert [e.nimg for e in events if isinstance(e, HeldOutMeasured)] == [64]
    assert told == [(0, 0.0), (64, pytest.approx(128 / (sigma_rel_to_gamma(0.05) + 2)))]
    assert final(tmp_path / "run")[1]["method"]["game"]["gate"]["paused_at"] == 64
    gates = [e.reason for e in events if isinstance(e, GateChanged)]
    assert gates[0] == "too few plays"
    reference = final(tmp_path / "run")[1]["method"]["game"]["gate"]["reference"]
    start = HeldOutLoss(config, digits, PixelCodec(), World())
    method = build_method(config, digits, World())
    untrained = ema_denoiser(method.players["denoiser"], 0.05)
    _, _, held = start.measure(untrained)
    assert reference[0] == pytest.approx(held)  # the end is far worse at this learning rate
    assert gates[-1] == "held-out loss worsened"


def test_seeds_differ_and_repeat(digits, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(settings(0.032, seed=seed), digits, tmp_path / name, World())
    a, b, c = (final(tmp_path / name)[0][OUTPUT] for name in "abc")
    assert torch.equal(a, b) and not torch.allclose(a, c)


def test_loss_falls(digits, tmp_path):
    rows = []
    config = settings(6.0, train={})
    config = config.model_copy(
        update={
            "train": config.train.model_copy(
                update={
                    "lr": 0.01,
                    "lr_ramp_kimg": 0.5,
                    "batch_size": 64,
                    "log_every_kimg": 1.0,
                    "held_out_every_kimg": 6.0,
                    "held_out_images": 128,
                }
            )
        }
    )
    train(config, digits, tmp_path / "run", World(), rows.append)
    losses = [e.metrics["denoising_loss"] for e in rows if isinstance(e, Logged)]
    assert losses[-1] < 0.6 * losses[0], losses


def test_snapshots_reconstruct(digits, tmp_path):
    train(settings(0.256), digits, tmp_path / "run", World())
    found = list_snapshots(tmp_path / "run" / "snapshots")
    assert [(n, s) for n, s, _ in found] == [
        (n, s) for n in (64, 128, 192, 256) for s in (0.05, 0.1)
    ]
    averages, description, errors = reconstruct(tmp_path / "run" / "snapshots", (0.1, 0.15))
    newest, _ = load_tensors(found[-1][2])
    for name, tensor in newest.items():  # a tracked length gives its own snapshot back
        torch.testing.assert_close(averages[0.1][name], tensor, rtol=1e-4, atol=1e-6)
    assert errors[0.1] < 1e-6 < errors[0.15] and description["nimg"] == 256


def test_non_finite_steps_are_skipped_then_fatal(digits, tmp_path, monkeypatch):
    real, calls = Denoising.accumulate, []

    def poisoned(self, turn, slots):
        out = real(self, turn, slots)
        calls.append(slots.start)
        if slots.start in (16, 32) or slots.start >= 64:
            next(self.denoiser.parameters()).grad[...] = float("nan")
        return out

    monkeypatch.setattr(Denoising, "accumulate", poisoned)
    config = settings(train={"max_bad_steps": 3})
    events = []
    with pytest.raises(TrainingDiverged, match="3 steps in a row"):
        train(config, digits, tmp_path / "run", World(), events.append)
    assert calls[-1] == 96
    assert max(e.metrics["skipped_steps"] for e in events if isinstance(e, Logged)) >= 2


def test_bf16_follows_fp32_with_fp32_weights(digits, tmp_path):
    losses = {}
    for precision in ("fp32", "bf16"):
        train(
            settings(0.064, game="graph", train={"precision": precision}),
            digits,
            tmp_path / precision,
            World(),
        )
        tensors, plain = final(tmp_path / precision)
        losses[precision] = plain["last_metrics"]["denoising_loss"]
        assert {t.dtype for n, t in tensors.items() if n.startswith(WEIGHTS)} == {torch.float32}
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)


def test_flips_and_clipping_change_the_run(digits, tmp_path):
    weights = {}
    for name, changes in (
        ("plain", {}),
        ("flip", {"horizontal_flip": True}),
        ("clip", {"grad_clip": 1e-9}),
    ):
        train(settings(0.032, train=changes), digits, tmp_path / name, World())
        weights[name] = final(tmp_path / name)[0][OUTPUT]
    assert not torch.equal(weights["plain"], weights["flip"])
    assert not torch.equal(weights["plain"], weights["clip"])
