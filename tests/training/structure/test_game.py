"""The game as a whole, on problems where its effect is known."""

import json
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

from foundation.workers import World
from training.structure.config import GateConfig, StructureConfig
from training.structure.game import StructureGame
from training.structure.gate import CHANCE, TOO_FEW, WARMING_UP, WINS, WORSENED

toys = SimpleNamespace(**run_path(str(Path(__file__).with_name("game_toys.py"))))
play = toys.play

QUICK_GATE = GateConfig(min_plays=3, smoothing=0.5)


def plane_game(kind="graph", **settings) -> tuple:
    """Reals: two clusters of the plane. Fakes: the same, shifted aside by the denoiser."""
    config = StructureConfig(
        **{
            "kind": kind,
            "features": "pixels",
            "width": 16,
            "k": 4,
            "lr": 5e-3,
            "start_kimg": 0.0,
            "batch_size": None,
            "sigma_max": 0.1,
            "lambda_0": 1.0,
            "gate": QUICK_GATE,
            **settings,
        }
    )
    denoiser, data = toys.LinearDenoiser(shift=(0.4, -0.6)), toys.two_clusters()
    game = StructureGame(config, denoiser, batch_size=32, world=World(), seed=0)
    assert game.batch_size == 32
    game.open(0, denoiser, data)
    return game, denoiser, data


def distance_after(game, denoiser, data, plays=50, rate=0.05) -> float:
    """Distance of the fakes' mean from the reals' after gradient descent on the game alone."""
    for number in range(plays):
        gradients, _ = play(game, denoiser, data, number)
        with torch.no_grad():
            for parameter, gradient in zip(denoiser.parameters(), gradients, strict=True):
                if gradient is not None:
                    parameter -= rate * gradient / (gradient.norm() + 0.1)
    with torch.no_grad():
        fakes = denoiser(data.images, torch.full((len(data.images),), 0.05))
    return float((fakes - data.images).mean(0).norm())


START = (0.4**2 + 0.6**2) ** 0.5


@pytest.mark.parametrize("loss", ["relativistic", "non_saturating"])
@pytest.mark.parametrize("kind", ["graph", "per_sample", "bank", "two_bank"])
def test_the_game_alone_moves_fakes_onto_the_reals(kind, loss):
    game, denoiser, data = plane_game(kind, loss=loss)
    assert distance_after(game, denoiser, data) < 0.25 * START
    assert game.gate.open_plays > 10


@pytest.mark.parametrize("kind", ["kernel", "fd"])
def test_a_distance_needs_no_opponent(kind):
    """The gate asks for no accuracy; the held-out loss still shuts it."""
    game, denoiser, data = plane_game(kind)
    assert distance_after(game, denoiser, data) < 0.25 * START
    assert game.gate.open_plays == 50 and not game.gate.shut_plays
    game.gate.observe_held_out([1.0], [1.0])
    game.gate.observe_held_out([2.0], [2.0])
    assert game.gate.reason == WORSENED


def test_the_paired_game_restores_the_structure_of_the_sources():
    """Affinity is blind to some shifts, not to a batch that has shrunk in one direction."""
    game, denoiser, data = plane_game("affinity")
    with torch.no_grad():
        denoiser.bias.zero_()
        denoiser.matrix.copy_(torch.tensor([[0.2, 0.0], [0.5, 1.0]])[:, :, None, None])

    def error():
        fakes = denoiser(data.images, torch.full((len(data.images),), 0.05))
        cosine = torch.nn.functional.normalize(fakes[:, :, 0, 0] * game.psi.scale, dim=1)
        real = torch.nn.functional.normalize(data.images[:, :, 0, 0] * game.psi.scale, dim=1)
        return (cosine @ cosine.T - real @ real.T).square().mean().item()

    before = error()
    distance_after(game, denoiser, data)
    assert error() < 0.5 * before


def test_sabotage_wrong_sign():
    game, denoiser, data = plane_game()
    right = game.opponent.form.loss_g
    game.opponent.form.loss_g = lambda *args: -right(*args)
    assert distance_after(game, denoiser, data) > START


def test_sabotage_frozen_discriminator():
    game, denoiser, data = plane_game()
    game.opponent.optimizer.step = lambda: None
    assert distance_after(game, denoiser, data) > 0.25 * START


def test_the_discriminator_compares_by_group_not_by_label():
    game, denoiser, _ = plane_game(opponent_steps=2)
    denoiser.num_classes, game.fakes.conditional = 512, True
    plain = toys.two_clusters()
    numbers = torch.arange(512).numpy()  # each image has a label of its own, as with captions
    data = toys.ToyImages(plain.images, numbers, 512, groups=numbers % 2)
    seen, own = [], game.opponent.form.loss_d
    game.opponent.form.loss_d = lambda *args: seen.append(args[2]) or own(*args)
    play(game, denoiser, data, 0)
    assert torch.equal(seen[0], game.draw(data, 0).groups) and set(seen[0].tolist()) == {0, 1}
    play(game, denoiser, data, 1)
    assert len(seen) > 2 and all(set(groups.tolist()) == {0, 1} for groups in seen)


def test_learns_while_at_chance_and_only_then_moves_the_denoiser():
    game, denoiser, data = plane_game()
    gradients, logs = play(game, denoiser, data, 0)
    assert logs["structure/gate_open"] == 0.0 and logs["structure/lambda"] == 0.0
    assert all(gradient is None for gradient in gradients)
    assert game.gate.reason == TOO_FEW
    reasons = set()
    for number in range(1, 30):
        gradients, logs = play(game, denoiser, data, number)
        reasons.add(game.gate.reason)
        if game.gate.plays > 1 and logs["structure/gate_open"]:
            break
    assert reasons <= {TOO_FEW, CHANCE, ""} and "" in reasons
    assert logs["structure/accuracy"] > 0.6 and 0 < logs["structure/lambda"] <= 1
    assert all(gradient is not None for gradient in gradients)


def test_a_discriminator_that_wins_by_far_is_brought_back():
    game, denoiser, data = plane_game(gate=GateConfig(min_plays=1, smoothing=0.5, win_gap=2.0))
    gaps, shut = [], False
    for number in range(150):
        _, logs = play(game, denoiser, data, number)
        gaps.append(logs["structure/logit_gap"])
        shut = shut or game.gate.reason == WINS
        if shut and game.gate.open:
            break
    assert shut and game.gate.open  # it was shut, and opened although nothing else moved
    assert max(gaps) > 2.0


def test_it_is_brought_back_too_while_the_held_out_loss_keeps_the_gate_shut():
    game, denoiser, data = plane_game(gate=GateConfig(min_plays=1, smoothing=0.5, win_gap=2.0))
    game.observe_held_out([1.0], [1.0])
    game.observe_held_out([1.1], [1.0])
    won = []
    for number in range(150):
        gradients, _ = play(game, denoiser, data, number)
        assert gradients == [None, None] and game.gate.reason == WORSENED
        won.append(game.gate.wins)
    assert any(won) and not all(won[won.index(True) :])


def test_logs_what_a_reader_needs():
    game, denoiser, data = plane_game()
    for number in range(40):
        _, logs = play(game, denoiser, data, number)
        if logs["structure/gate_open"]:
            break
    names = "real_logit fake_logit logit_gap accuracy loss_d loss_g r1 r2 lambda adv_grad "
    names += "denoise_grad k gate_open skipped"
    assert set(logs) == {f"structure/{name}" for name in names.split()}
    assert logs["structure/k"] == 4 and logs["structure/denoise_grad"] == pytest.approx(1)


def test_lambda_scales_the_gradient_to_the_denoising_one():
    game, denoiser, data = plane_game(lambda_0=0.25, lambda_cap=1e9, lambda_smoothing=0.0)
    for number in range(40):
        gradients, logs = play(game, denoiser, data, number)
        if logs["structure/gate_open"]:
            break
    assert gradients[0].norm().item() == pytest.approx(0.25, rel=1e-4)  # the output convolution
    assert logs["structure/lambda"] == pytest.approx(0.25 / logs["structure/adv_grad"], rel=1e-4)


def test_held_out_losses_reach_the_gate():
    game, denoiser, data = plane_game()
    game.observe_held_out([1.0], [1.0])
    game.observe_held_out([1.1], [1.0])
    assert game.gate.reason == WORSENED
    gradients, _ = play(game, denoiser, data, 0)
    assert gradients == [None, None]


def test_a_gradient_that_is_not_finite_is_dropped():
    game, denoiser, data = plane_game()
    for number in range(20):
        play(game, denoiser, data, number)
    before = {n: t.clone() for n, t in game.opponent.form.state_dict().items()}
    assert game.gate.open
    with torch.no_grad():
        denoiser.bias[0] = float("nan")
    gradients, logs = play(game, denoiser, data, 20)
    assert gradients == [None, None] and logs["structure/lambda"] == 0.0
    assert logs["structure/skipped"] == 1.0
    for name, value in game.opponent.form.state_dict().items():
        assert torch.equal(value, before[name])


def test_schedule():
    config = StructureConfig(start_kimg=1.0, every=4, refresh_kimg=2.0, features="pixels")
    denoiser, data = toys.LinearDenoiser(), toys.two_clusters()
    game = StructureGame(config, denoiser, batch_size=32, world=World(), seed=0)
    assert not game.needs_opening(999) and game.needs_opening(1000)
    assert not game.due(4) and game.gate.reason == WARMING_UP
    game.open(1000, denoiser, data)
    assert [game.due(step) for step in range(40, 45)] == [True, False, False, False, True]
    assert not game.needs_opening(2999) and game.needs_opening(3000)


def test_kind_none_is_never_due():
    denoiser = toys.LinearDenoiser()
    game = StructureGame(
        StructureConfig(kind="none"), denoiser, batch_size=8, world=World(), seed=0
    )
    assert not game.needs_opening(10**9) and not game.due(0)
    tensors, meta = game.state_dict()
    assert tensors == {}
    game.load_state_dict(tensors, json.loads(json.dumps(meta)))
    game.observe_held_out([1.0], [1.0])


@pytest.mark.parametrize("kind", ["graph", "per_sample", "affinity"])
@pytest.mark.parametrize(
    "batch_size, duplicates", [(2, False), (5, False), (16, True)], ids=["2", "5", "duplicates"]
)
def test_degenerate_batches_have_finite_gradients(kind, batch_size, duplicates):
    """Fewer than 16 images, k beyond the batch, one class only, all images the same."""
    data = toys.random_images(classes=1)
    if duplicates:
        data.images[:] = data.images[0].clone()
    denoiser = toys.ConvDenoiser(num_classes=1)
    config = StructureConfig(kind=kind, k=50, width=8, start_kimg=0.0, batch_size=batch_size)
    game = StructureGame(config, denoiser, batch_size=64, world=World(), seed=0)
    game.open(0, denoiser, data)
    game.gate = SimpleNamespace(open=True, wins=False, plays=0, observe_play=lambda *numbers: None)
    for number in range(3):
        batch = game.draw(data, number * batch_size)
        gradients, logs = game.play(
            denoiser, batch, None, torch.ones_like(denoiser.output_conv_weight)
        )
        assert all(torch.isfinite(torch.tensor(value)) for value in logs.values()), logs
        assert logs["structure/skipped"] == 0.0
        assert all(torch.isfinite(g).all() for g in gradients if g is not None)
        if kind == "graph":
            assert logs["structure/k"] == batch_size - 1
