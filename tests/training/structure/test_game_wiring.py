"""What the game hands to its parts, and the loop to the game."""

import json
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

from foundation.workers import World
from models.config import EMAConfig, ModelConfig
from models.denoiser import Denoiser
from training import loop
from training.config import NoiseConfig, TrainConfig
from training.methods import structure_game
from training.run_settings import RunSettings
from training.structure.config import GateConfig, StructureConfig
from training.structure.game import StructureGame
from training.structure.gate import WORSENED

toys = SimpleNamespace(**run_path(str(Path(__file__).with_name("game_toys.py"))))
OPEN = GateConfig(min_plays=1, chance_margin=0.0, smoothing=0.0, win_gap=1e6, max_worsening=100.0)


def plane_game(**settings):
    config = StructureConfig(
        **{
            "features": "pixels",
            "width": 16,
            "k": 4,
            "lr": 5e-3,
            "start_kimg": 0.0,
            "batch_size": None,
            "sigma_max": 0.1,
            "gate": OPEN,
            **settings,
        }
    )
    denoiser, data = toys.LinearDenoiser(shift=(0.4, -0.6)), toys.two_clusters()
    game = StructureGame(config, denoiser, batch_size=32, world=World(), seed=0)
    game.open(0, denoiser, data)
    return game, denoiser, data


def play(game, denoiser, data):
    return game.play(denoiser, game.draw(data, 0), None, torch.ones(()))


@pytest.mark.parametrize("gammas", [{"gamma": 50.0, "gamma_r2": 0.0}, {"gamma_r2": 50.0}])
def test_each_penalty_is_part_of_the_discriminators_step(gammas):
    after = []
    for settings in ({"gamma": 0.0, "gamma_r2": 0.0}, {"gamma": 0.0, **gammas}):
        game, denoiser, data = plane_game(**settings)
        play(game, denoiser, data)
        after.append(torch.cat([p.detach().flatten() for p in game.opponent.form.parameters()]))
    assert not torch.allclose(*after)


def test_the_unit_of_length_is_that_of_the_reals():
    game, _, data = plane_game()
    unit = game.opponent.form.unit.clone()
    assert unit != 1
    game.opponent.form.calibrate(game.psi(data.images), 32)
    assert unit == pytest.approx(float(game.opponent.form.unit), rel=0.3)  # of other batches


def test_renoised_are_reals_fakes_and_what_psi_is_standardised_by():
    game, denoiser, data = plane_game(fakes="renoise", renoise_sigma=0.7, sigma_max=None)
    seen = {}
    observe = game.opponent.observe
    game.opponent.observe = lambda real, fake, *rest, **more: (
        seen.update(real=real, fake=fake) or observe(real, fake, *rest, **more)
    )
    batch = game.draw(data, 0)
    game.play(denoiser, batch, None, torch.ones(()))
    for name, clean, noise in (
        ("real", batch.reals, batch.renoise[0]),
        (
            "fake",
            denoiser(batch.sources + batch.sigma[:, None, None, None] * batch.noise, batch.sigma),
            batch.renoise[1],
        ),
    ):
        torch.testing.assert_close(seen[name], game.psi(clean + 0.7 * noise).detach())
    plain, _, _ = plane_game()
    assert (game.psi.scale < 0.9 * plain.psi.scale).all()  # the noise is part of the deviation


def test_the_denoiser_plays_in_evaluation_mode_and_trains_on():
    game, denoiser, data = plane_game()
    modes = []
    images = game.fakes.images
    game.fakes.images = lambda player, *rest: modes.append(player.training) or images(player, *rest)
    denoiser.train()
    play(game, denoiser, data)
    assert modes and not any(modes) and denoiser.training


@pytest.mark.parametrize("rank", [0, 2])
def test_the_held_out_loss_shuts_the_gate_only_of_a_game_that_moves_the_denoiser(rank):
    model = ModelConfig(
        channels=8,
        channel_mult=(1,),
        blocks=1,
        attention_resolutions=(),
        structural_blocks=(),
        adapter_rank=rank,
    )
    config = StructureConfig(features="pixels", batch_size=None, gate=GateConfig(min_plays=1))
    game = StructureGame(
        config, Denoiser((1, 4, 4), 0, model), batch_size=16, world=World(), seed=0
    )
    game.gate.start()
    for _ in range(5):
        game.gate.observe_play(0.99, 0.5)  # far from chance
    for number, loss in enumerate((1.0, 2.0)):
        game.observe_held_out([loss], [1.0], 1000 * number, 500.0)
    assert (game.gate.reason == WORSENED) == (rank == 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory, digits):
    """A run of the loop with a game, flips on: its summary, and what the game was given."""
    folder = tmp_path_factory.mktemp("wiring")
    settings = RunSettings(
        seed=0,
        noise=NoiseConfig(),
        ema=EMAConfig(snapshots=4),
        model=ModelConfig(
            channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
        ),
        train=TrainConfig(
            total_kimg=0.128,
            batch_size=16,
            lr=1e-2,
            held_out_every_kimg=0.064,
            held_out_images=16,
            horizontal_flip=True,
        ),
        structure=StructureConfig(
            start_kimg=0.03, every=2, width=8, k=3, statistics_images=32, batch_size=16, gate=OPEN
        ),
    )
    flips, average, given = [], torch.nn.Identity(), []
    with pytest.MonkeyPatch.context() as patch:
        draw, opened = StructureGame.draw, StructureGame.open
        averages = structure_game.ema_denoiser

        def remember(player, length):
            nonlocal average
            average = averages(player, length)
            return average

        def note_draw(self, dataset, nimg, *, flip=False):
            flips.append(flip)
            return draw(self, dataset, nimg, flip=flip)

        def note_open(self, nimg, denoiser, dataset):
            given.append(denoiser is average)
            return opened(self, nimg, denoiser, dataset)

        patch.setattr(structure_game, "ema_denoiser", remember)
        patch.setattr(StructureGame, "draw", note_draw)
        patch.setattr(StructureGame, "open", note_open)
        loop.train(settings, digits, folder / "run", World())
    summary = json.loads((folder / "run" / "train.json").read_text())
    return SimpleNamespace(summary=summary, flips=flips, given=given)


def test_psi_is_a_copy_of_the_averaged_denoiser(run):
    assert run.given == [True]


def test_reals_of_the_game_are_mirrored_as_those_of_training(run):
    assert run.flips and all(run.flips)


def test_the_summary_tells_of_the_gate(run):
    gate = run.summary["gate"]
    plays = run.summary["structure_plays"]
    assert plays == len(run.flips) > 1 and 0 <= gate["open_fraction"] <= 1
    assert sum(gate["shut_reasons"].values()) == pytest.approx((1 - gate["open_fraction"]) * plays)
