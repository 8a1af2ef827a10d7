"""What the discriminator remembers of past plays."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

from foundation.workers import World
from training.structure.config import GateConfig, StructureConfig
from training.structure.game import StructureGame
from training.structure.recent_plays import RecentPlays

toys = SimpleNamespace(**run_path(str(Path(__file__).with_name("game_toys.py"))))


def filled(size=3, plays=5, rows=4) -> RecentPlays:
    """Play p holds rows p.0, p.1, ...; fakes are the negatives, labels the tens."""
    recent = RecentPlays(size)
    for play in range(plays):
        real = (10 * play + torch.arange(float(rows)))[:, None]
        recent.add(real, -real, (10 * play + torch.arange(rows)), 10 * play + torch.arange(rows))
    return recent


def test_the_oldest_go():
    recent = filled()
    real, _, _ = recent.mixed(100, torch.Generator().manual_seed(0))
    assert len(recent) == 3
    assert sorted(real[:, 0].tolist()) == [
        10.0 * play + row for play in (2, 3, 4) for row in range(4)
    ]


def test_rows_stay_together_and_are_drawn_once():
    recent = filled()
    real, fake, labels = recent.mixed(8, torch.Generator().manual_seed(1))
    assert torch.equal(real, -fake) and torch.equal(real[:, 0].long(), labels)
    assert len(set(labels.tolist())) == 8
    assert len({int(label) // 10 for label in labels}) > 1  # not one play over again
    again, _, _ = recent.mixed(8, torch.Generator().manual_seed(1))
    other, _, _ = recent.mixed(8, torch.Generator().manual_seed(2))
    assert torch.equal(again, real) and not torch.equal(other, real)


def test_no_real_image_is_shown_twice():
    recent = RecentPlays(4)
    for play in range(4):  # images 0 .. 5 in every play, with other fakes
        real = torch.arange(6.0)[:, None]
        recent.add(real, real + 10 * play, torch.arange(6) % 2, torch.arange(6))
    plays = set()
    for seed in range(20):
        real, fake, labels = recent.mixed(5, torch.Generator().manual_seed(seed))
        assert len(real.unique()) == 5
        assert torch.equal(real[:, 0].long() % 2, labels)
        plays |= {int(value) // 10 for value in fake[:, 0]}
    assert plays == {0, 1, 2, 3}
    assert len(recent.mixed(24, torch.Generator().manual_seed(0))[0]) == 6  # there are no more


def test_state_goes_round():
    recent, other = filled(), RecentPlays(3)
    other.load_state_dict(recent.state_dict(), torch.zeros(()))
    draw = [r.mixed(6, torch.Generator().manual_seed(3)) for r in (recent, other)]
    assert all(torch.equal(one, two) for one, two in zip(*draw, strict=True))
    recent.clear()
    assert len(recent) == 0 and len(other) == 3


@pytest.mark.parametrize("kind", ["graph", "per_sample"])
def test_more_steps_tell_apart_sooner(kind):
    """Fakes that stand still, of which 12 plays of one step each show little."""
    accuracy = {}
    for steps in (1, 8):
        config = StructureConfig(
            kind=kind,
            features="pixels",
            width=16,
            k=4,
            lr=1e-4,
            start_kimg=0.0,
            batch_size=32,
            opponent_steps=steps,
            sigma_max=0.1,
            gate=GateConfig(min_plays=1000),
        )
        denoiser, data = toys.LinearDenoiser(shift=(0.15, -0.2)), toys.two_clusters()
        game = StructureGame(config, denoiser, batch_size=32, world=World(), seed=0)
        game.open(0, denoiser, data)
        seen = []
        for number in range(12):
            unit = torch.ones_like(denoiser.output_conv_weight)
            _, logs = game.play(denoiser, game.draw(data, 32 * number), None, unit)
            seen.append(logs["structure/accuracy"])
        accuracy[steps] = sum(seen[6:]) / 6
        assert len(game.opponent.recent) == (12 if steps > 1 else 0)
    assert accuracy[8] > accuracy[1] + 0.05


def test_new_features_forget_the_old():
    config = StructureConfig(features="pixels", batch_size=16, start_kimg=0.0, opponent_steps=2)
    denoiser, data = toys.LinearDenoiser(), toys.two_clusters()
    game = StructureGame(config, denoiser, batch_size=16, world=World(), seed=0)
    game.open(0, denoiser, data)
    game.play(denoiser, game.draw(data, 0), None, torch.ones_like(denoiser.output_conv_weight))
    assert len(game.opponent.recent) == 1
    game.open(16, denoiser, data)
    assert len(game.opponent.recent) == 0
