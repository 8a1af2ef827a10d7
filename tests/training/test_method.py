"""A method with two players: whose turn it is, what is deployed, what is kept."""

from pathlib import Path

import pytest
import torch
from torch import nn

from foundation.workers import World
from models.config import EMAConfig, ModelConfig
from models.power_ema import PowerEMA
from training import loop
from training.config import NoiseConfig, TrainConfig
from training.events import Started
from training.loop import step, train
from training.method import Extra
from training.methods import build
from training.methods.denoising import Denoising
from training.players import Player
from training.run_settings import RunSettings
from training.state.checkpoint import load_latest
from training.state.train_state import TrainState
from training.structure.config import StructureConfig

SMALL = ModelConfig(channels=8, channel_mult=(1,), attention_resolutions=(), structural_blocks=())


class Critic(nn.Module):
    """A second network of its own; says itself what it is."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def describe(self):
        return {"kind": "critic"}


class WithCritic(Denoising):
    """The critic moves at every step, the denoiser at every second one."""

    def __init__(self, settings, dataset, world):
        super().__init__(settings, dataset, world)
        critic = Critic()
        optimizer = torch.optim.SGD(critic.parameters(), lr=1.0)
        rates = {"lr": lambda nimg: 0.5}
        averages = PowerEMA(critic.named_parameters(), settings.ema.tracked)
        self.players["critic"] = Player(critic, optimizer, rates, clip=1e6, averages=averages)
        self.seen = []

    def turns(self, step):
        return ("critic",) if step % 2 else ("critic", "denoiser")

    def accumulate(self, turn, slots):
        self.seen.append((turn, slots.start))
        if turn == "denoiser":
            return super().accumulate(turn, slots)
        loss = self.players["critic"].network.weight.square().sum() / 2
        loss.backward()
        return {"loss": loss.detach().double() * len(slots)}

    def extra(self, turn, slots):
        """Takes back half of the critic's own gradient, which is summed by now."""
        if turn == "denoiser":
            return Extra()
        gradient = self.players["critic"].network.weight.grad
        return Extra([-gradient / 2], {"taken_back": 0.5})


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setitem(build.METHODS, "with_critic", WithCritic)
    return RunSettings(
        seed=0,
        model=SMALL,
        noise=NoiseConfig(),
        train=TrainConfig(
            method="with_critic",
            total_kimg=0.064,
            batch_size=16,
            held_out_images=16,
            log_every_kimg=0.016,
        ),
        structure=StructureConfig(kind="none"),
        ema=EMAConfig(snapshots=2),
        checkpoint_every_s=0,
    )


def test_each_player_moves_at_its_turn_alone(settings, digits):
    state = TrainState(build.build_method(settings, digits, World()))
    denoiser, critic = (state.method.players[name].network for name in ("denoiser", "critic"))
    moved = [torch.nn.utils.parameters_to_vector(denoiser.parameters()).detach()]
    for number in range(2):
        rates = step(settings, state, World())
        moved.append(torch.nn.utils.parameters_to_vector(denoiser.parameters()).detach())
        # One step of SGD with rate 0.5 on half of the gradient w.
        torch.testing.assert_close(critic.weight, torch.full((3,), 0.75 ** (number + 1)))
    assert not torch.equal(moved[0], moved[1]) and torch.equal(moved[1], moved[2])
    assert state.method.seen == [("critic", 0), ("denoiser", 0), ("critic", 16)]
    assert state.nimg == 32 and rates == {"critic/lr": 0.5}
    means = state.close_window()
    assert means["critic/taken_back"] == 0.5 and {"loss", "critic/grad_norm"} <= means.keys()
    averages = state.method.players["critic"].averages.state(0.05)
    assert not torch.equal(averages["weight"], critic.weight)


def test_checkpoints_and_snapshots_keep_players_by_name(settings, digits, tmp_path):
    class Stopped(BaseException):
        pass

    def stop(event):
        if event.kind == "checkpoint" and event.nimg == 32:
            raise Stopped

    train(settings, digits, tmp_path / "whole", World())
    with pytest.raises(Stopped):
        train(settings, digits, tmp_path / "cut", World(), stop)
    events = []
    train(settings, digits, tmp_path / "cut", World(), events.append)
    assert events[0] == Started(32, total_nimg=64, resumed=True)
    (one, plain), (other, _) = (
        load_latest(tmp_path / name / "checkpoints", print) for name in ("whole", "cut")
    )
    assert plain["players"] == ["critic", "denoiser"]
    assert one.keys() == other.keys() and "players.critic.network.weight" in one
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    names = {str(p.relative_to(tmp_path / "whole")) for p in tmp_path.glob("whole/snap*/**/*.json")}
    at = ["000000000032-0.05", "000000000032-0.1", "000000000064-0.05", "000000000064-0.1"]
    assert names == {f"snapshots/{folder}{n}.json" for folder in ("", "critic/") for n in at}


def test_a_checkpoint_of_other_players_is_refused(settings, digits, tmp_path):
    train(settings, digits, tmp_path / "run", World())
    plain = settings.train.model_copy(update={"method": "denoising", "total_kimg": 0.128})
    longer = settings.model_copy(update={"train": plain})
    with pytest.raises(ValueError, match="players critic, denoiser, and this method trains denois"):
        train(longer, digits, tmp_path / "run", World())


def test_an_unknown_method_is_refused_with_the_closest_name(settings, digits):
    train_settings = settings.train.model_copy(update={"method": "denoisng"})
    with pytest.raises(ValueError, match=r"unknown train\.method 'denoisng': did you mean 'denois"):
        build.build_method(settings.model_copy(update={"train": train_settings}), digits, World())


def test_the_loop_names_no_method():
    text = Path(loop.__file__).read_text()
    assert not [word for word in ("denois", "game", "structure", "gate", "adapter") if word in text]
    assert len(text.splitlines()) <= 180
