"""The game among workers, across a crash, and in bf16."""

import json
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import torch

from foundation.workers import World
from models.config import ModelConfig
from models.denoiser import Denoiser
from training.structure.config import GateConfig, StructureConfig
from training.structure.game import StructureGame

toys = SimpleNamespace(**run_path(str(Path(__file__).with_name("game_toys.py"))))
play = toys.play


def test_a_batch_that_workers_cannot_share_is_refused():
    with pytest.raises(ValueError, match="use 32 or 34"):
        StructureGame(
            StructureConfig(features="pixels", batch_size=33),
            toys.LinearDenoiser(),
            batch_size=64,
            world=World(0, 2),
            seed=0,
        )


@pytest.mark.parametrize(
    "kind, fakes, features, opponent_steps",
    [
        ("graph", "onestep", "denoiser", 1),
        ("graph", "onpolicy", "denoiser", 1),
        ("graph", "deployed", "denoiser", 3),
        ("per_sample", "renoise", "pixels", 1),
        ("affinity", "onestep", "denoiser", 2),
        ("tangent", "onestep", "denoiser", 1),
        ("two_bank", "onestep", "denoiser", 3),
        ("kernel", "deployed", "denoiser", 1),
    ],
)
def test_resumes_bitwise(kind, fakes, features, opponent_steps):
    data = toys.random_images()
    config = StructureConfig(
        kind=kind,
        fakes=fakes,
        features=features,
        width=8,
        lr=5e-3,
        start_kimg=0.0,
        batch_size=16,
        opponent_steps=opponent_steps,
        recent_plays=3,
        gate=GateConfig(min_plays=3, smoothing=0.5, win_gap=100.0),
    )

    def make(seed):
        torch.manual_seed(seed)
        denoiser = toys.ConvDenoiser()
        return denoiser, StructureGame(config, denoiser, batch_size=16, world=World(), seed=0)

    def advance(denoiser, game, numbers):
        for number in numbers:
            gradients, logs = play(game, denoiser, data, number)
            with torch.no_grad():
                for parameter, gradient in zip(denoiser.parameters(), gradients, strict=True):
                    if gradient is not None:
                        parameter -= 0.01 * gradient
        return gradients, logs

    denoiser, game = make(0)
    game.open(0, denoiser, data)
    advance(denoiser, game, range(12))
    tensors, meta = game.state_dict()
    saved = {name: value.clone() for name, value in tensors.items()}
    weights = {name: value.clone() for name, value in denoiser.state_dict().items()}
    expected, expected_logs = advance(denoiser, game, range(12, 15))

    other, resumed = make(1)
    other.load_state_dict(weights)
    resumed.load_state_dict(saved, json.loads(json.dumps(meta)))
    found, logs = advance(other, resumed, range(12, 15))
    assert logs == expected_logs and expected_logs["structure/gate_open"]
    for one, two in zip(expected, found, strict=True):
        assert (one is None and two is None) or torch.equal(one, two)
    for (name, one), (_, two) in zip(
        game.state_dict()[0].items(), resumed.state_dict()[0].items(), strict=True
    ):
        assert torch.equal(one, two), name
    assert game.state_dict()[1] == resumed.state_dict()[1]


def test_bf16_autocast_touches_the_denoiser_only():
    data = toys.random_images()
    torch.manual_seed(0)
    denoiser = Denoiser(data.image_shape, 3, ModelConfig(channels=8), toys.FloatCodec())
    config = StructureConfig(
        width=8, start_kimg=0.0, batch_size=16, gate=GateConfig(min_plays=3, smoothing=0.5)
    )
    game = StructureGame(
        config, denoiser, batch_size=16, world=World(), seed=0, autocast=torch.bfloat16
    )
    game.open(0, denoiser, data)
    seen = []
    game.opponent.form.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    denoiser.unet.output.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    denoiser.train()
    for number in range(6):
        gradients, _ = play(game, denoiser, data, number)
    assert denoiser.training
    assert torch.bfloat16 in seen
    pairs = [entry for entry in seen if isinstance(entry, tuple)]
    assert all(x.dtype == out.dtype == torch.float32 for x, out in pairs)
    assert all(g is None or g.dtype == torch.float32 for g in gradients)
