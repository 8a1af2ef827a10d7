"""Students of low rank: adapters upon the teacher's weights, which exist once and never change."""

import json

import pytest
import torch
from small_runs import assert_same, final, train_on_two_workers, train_whole_and_interrupted

from foundation.workers import World
from models.denoiser import Denoiser, load_denoiser
from models.ema_reconstruction import reconstruct, snapshot_name
from models.layers.low_rank_adapter import adapter_names, adapter_parameters, split_adapters
from models.transfer import initialise_from
from models.weights import save_weights, tensors_hash
from sampling.config import SamplerConfig
from training.averaged_weights import ema_denoiser
from training.loop import step, train
from training.methods.build import build_method
from training.state.train_state import TrainState

FEW = SamplerConfig(solver="heun", grid="karras", steps=3)
KINDS = {
    "regression": {"pairs": 40, "sampler": FEW},
    "consistency": {"target": "teacher", "stage_kimg": 0.048},
    "distribution_matching": {"critic_steps": 2, "start": (80.0, 2.0)},
}
X, SIGMA, LABELS = torch.randn(3, 1, 8, 8), torch.tensor([0.1, 2.0, 80.0]), torch.arange(3)


@pytest.fixture
def made(student_settings):
    """made(kind, **changes) -> RunSettings of a student of rank 3."""

    def make(kind, total_kimg=0.128, **changes):
        return student_settings(kind, total_kimg, **({"rank": 3} | KINDS[kind] | changes))

    return make


def storage(*networks):
    """{address: number of values} of all distinct parameters and buffers."""
    tensors = (t for n in networks for t in (*n.parameters(), *n.buffers()))
    return {tensor.data_ptr(): tensor.numel() for tensor in tensors}


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_alone_are_trained_and_the_teachers_weights_exist_once(made, digits, kind):
    config = made(kind)
    state = TrainState(build_method(config, digits, World()))
    teacher, players = state.method.teacher, state.method.players
    before, expected = tensors_hash(teacher.state_dict()), teacher(X, SIGMA, LABELS)
    own = {name: adapter_parameters(player.network, name) for name, player in players.items()}
    for name, player in players.items():
        assert adapter_names(player.network) == [name] and adapter_names(teacher) == []
        assert torch.equal(player.network(X, SIGMA, LABELS), expected), "each begins as the teacher"
        trained = [p for p in player.network.parameters() if p.requires_grad]
        assert {*map(id, trained)} == {*map(id, own[name])} == {*map(id, player.own_parameters)}
    networks = [player.network for player in players.values()]
    numbers = [sum(p.numel() for p in parameters) for parameters in own.values()]
    assert sum(storage(teacher, *networks).values()) == sum(storage(teacher).values()) + sum(
        numbers
    )
    for _ in range(4):
        step(config, state, World())
    assert tensors_hash(teacher.state_dict()) == before
    assert torch.equal(teacher(X, SIGMA, LABELS), expected)
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())
    for (name, player), number in zip(players.items(), numbers, strict=True):
        assert not torch.equal(player.network(X, SIGMA, LABELS), expected)
        moments = player.optimizer.state_dict()["state"].values()
        assert sum(m["exp_avg"].numel() + m["exp_avg_sq"].numel() for m in moments) == 2 * number
        kept = player.tensors()
        weights = [n for n in kept if n.startswith("network.")]
        assert len(weights) == len(own[name]) and all(f".adapters.{name}." in n for n in weights)
    averages = players["student"].averages.averages.values()
    assert [sum(a.numel() for a in average) for average in averages] == [numbers[0]] * 2
    summary = state.summary(config)
    assert summary["trained_parameters"] == numbers[0] < summary["num_parameters"] / 2


@pytest.mark.parametrize("kind", ["regression", "consistency"])
def test_an_interrupted_run_goes_on_bit_for_bit(made, digits, tmp_path, kind):
    train_whole_and_interrupted(made(kind), digits, tmp_path)
    assert_same(final(tmp_path / "whole"), final(tmp_path / "cut"), rtol=0, atol=0)


def test_what_is_published_is_an_ordinary_denoiser_that_draws_the_same(made, digits, tmp_path):
    config = made("consistency")
    train(config, digits, tmp_path, World())
    state = TrainState(build_method(config, digits, World()))
    state.restore(*final(tmp_path))
    player, teacher = state.deployed, state.method.teacher
    length = config.ema.tracked[0]
    average = ema_denoiser(player, length)
    expected = average(X, SIGMA, LABELS)
    averages, description, _ = reconstruct(tmp_path / "snapshots", (length,))
    assert "merge" not in description and split_adapters(averages[length])[1] == {}
    save_weights(tmp_path / "mean.safetensors", averages[length], description)
    published = load_denoiser(tmp_path / "mean.safetensors")
    assert list(published.state_dict()) == list(teacher.state_dict())
    torch.testing.assert_close(published(X, SIGMA, LABELS), expected, rtol=1e-4, atol=1e-5)
    # A snapshot is a whole denoiser too, and training can begin from it.
    snapshot = tmp_path / "snapshots" / snapshot_name(config.total_nimg, length)
    loaded = load_denoiser(snapshot)
    assert adapter_names(loaded) == [] and torch.equal(loaded(X, SIGMA, LABELS), expected)
    begun = Denoiser(teacher.image_shape, teacher.num_classes, config.model)
    assert initialise_from(begun, snapshot) == []
    assert torch.equal(begun.eval()(X, SIGMA, LABELS), expected)
    assert (expected - teacher(X, SIGMA, LABELS)).abs().max() > 1e-3


def test_accumulation_changes_nothing_but_rounding(made, digits, tmp_path):
    config = made("distribution_matching", 0.048)
    train(config, digits, tmp_path / "whole", World())
    parts = config.model_copy(update={"micro_batch": 5})
    train(parts, digits, tmp_path / "parts", World())
    assert_same(final(tmp_path / "whole"), final(tmp_path / "parts"), rtol=1e-3, atol=5e-5)


def test_two_workers_follow_one(made, digits, digits_folder, tmp_path, free_port):
    config = made("distribution_matching", 0.064)
    train(config, digits, tmp_path / "one", World())
    train_on_two_workers(config, digits_folder, tmp_path / "two", free_port)
    assert_same(final(tmp_path / "one"), final(tmp_path / "two"), rtol=1e-3, atol=5e-5)


def test_a_game_moves_the_students_adapter(made, digits, tmp_path, game):
    strong = game.model_copy(update={"opponent_steps": 10, "lr": 0.01})
    played = made("distribution_matching", structure=strong)
    train_whole_and_interrupted(played, digits, tmp_path)
    assert_same(final(tmp_path / "whole"), final(tmp_path / "cut"), rtol=0, atol=0)
    train(made("distribution_matching"), digits, tmp_path / "plain", World())
    summary = json.loads((tmp_path / "whole" / "train.json").read_text())
    assert summary["structure_plays"] == 4 and summary["final"]["structure/lambda"] > 0
    key = "players.student.network.unet.output.adapters.student.up"
    one, other = (final(tmp_path / name)[0] for name in ("whole", "plain"))
    assert not torch.equal(one[key], other[key])


def test_initial_adapters_depend_on_the_seed_and_the_player(made, digits):
    config = made("distribution_matching", rank=1000)  # more than any layer has: clipped
    torch.manual_seed(5)
    method, again = (build_method(config, digits, World()) for _ in range(2))
    other = build_method(config.model_copy(update={"seed": 1}), digits, World())
    assert torch.initial_seed() == 5
    key = "unet.output.adapters.{}.down"
    downs = [
        m.players[name].network.state_dict()[key.format(name)]
        for m, name in ((method, "student"), (again, "student"), (method, "critic"))
    ] + [other.players["student"].network.state_dict()[key.format("student")]]
    assert torch.equal(downs[0], downs[1])
    assert not torch.equal(downs[0], downs[2]) and not torch.equal(downs[0], downs[3])
