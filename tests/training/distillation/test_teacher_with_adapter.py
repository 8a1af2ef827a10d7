"""Students of a teacher that has adapters: networks of their own, with the plain weights alone."""

import json

import pytest
import torch
from small_runs import assert_same, final, train_whole_and_interrupted

from foundation.workers import World
from models.denoiser import load_denoiser, plain_copy
from models.layers.low_rank_adapter import adapter_names, add_adapters, split_adapters, switched_on
from models.weights import load_tensors, save_weights
from training.loop import train
from training.methods.build import build_method

X, SIGMA, LABELS = torch.randn(3, 1, 8, 8), torch.tensor([0.1, 1.0, 9.0]), torch.tensor([0, 1, -1])
KEY = "players.student.network.unet.output.weight"


@pytest.fixture(scope="module")
def adapted_file(teacher_file, tmp_path_factory):
    """The teacher's plain weights with a game's adapter and one of another name beside them."""
    _, description = load_tensors(teacher_file)
    teacher = load_denoiser(teacher_file)
    for seed, name in enumerate(("game", "further")):
        torch.manual_seed(seed)
        add_adapters(teacher.unet, name, 2)
    with torch.no_grad():
        for key, tensor in teacher.named_parameters():
            if key.endswith(".up"):
                tensor.normal_(std=0.3)
    path = tmp_path_factory.mktemp("adapted") / "teacher.safetensors"
    description["config"]["adapter_rank"] = 2
    save_weights(path, teacher.state_dict(), description)
    return path


@pytest.fixture
def strong(game):
    """A game whose discriminator learns enough at its first play to open the gate."""
    return game.model_copy(update={"opponent_steps": 10, "lr": 0.01})


@pytest.fixture
def made(student_settings, adapted_file):
    """made(**changes) -> RunSettings of a student of the teacher with adapters, in a game."""

    def make(teacher=adapted_file, **changes):
        config = student_settings("distribution_matching", critic_steps=2, **changes)
        return config.model_copy(update={"teacher": str(teacher)})

    return make


def test_a_plain_copy_is_the_denoiser_with_its_adapters_off(adapted_file):
    denoiser = load_denoiser(adapted_file)
    with switched_on(denoiser, "further"):
        copied = plain_copy(denoiser)
        assert not torch.equal(copied(X, SIGMA, LABELS), denoiser(X, SIGMA, LABELS))
    assert torch.equal(copied(X, SIGMA, LABELS), denoiser(X, SIGMA, LABELS))
    assert adapter_names(copied) == [] and copied.config.adapter_rank == 0
    assert adapter_names(denoiser) == ["further", "game"] and denoiser.config.adapter_rank == 2
    plain, _ = split_adapters(denoiser.state_dict())
    assert list(plain) == list(copied.state_dict())
    assert not {t.data_ptr() for t in plain.values()} & {
        t.data_ptr() for t in copied.state_dict().values()
    }


@pytest.mark.parametrize("played", [False, True])
def test_the_run_is_bitwise_that_of_a_teacher_without(
    made, digits, tmp_path, teacher_file, strong, played
):
    structure = {"structure": strong} if played else {}
    for name, changes in (("with", {}), ("without", {"teacher": teacher_file})):
        train(made(**changes, **structure), digits, tmp_path / name, World())
    assert_same(final(tmp_path / "with"), final(tmp_path / "without"), rtol=0, atol=0)
    summary = json.loads((tmp_path / "with" / "train.json").read_text())
    assert summary["structure_plays"] == (4 if played else 0)
    assert (summary["final"].get("structure/lambda", 0) > 0) == played
    for path in (tmp_path / "with" / "snapshots").glob("*.safetensors"):
        tensors, description = load_tensors(path)
        assert split_adapters(tensors)[1] == {} and description["config"]["adapter_rank"] == 0
        assert adapter_names(load_denoiser(path)) == []


def test_a_game_moves_the_students_own_weights(made, digits, strong):
    method = build_method(made(structure=strong), digits, World())
    assert not method.game.adapted
    with torch.no_grad():  # so that the student's own loss has a gradient to be compared with
        method.players["critic"].network.unet.output_gain.mul_(1.5)
    for start in range(0, 192, 32):  # the gate opens at one of the first plays
        method.accumulate("student", range(start, start + 16))
        extra = method.extra("student", range(start, start + 16))
    named = method.player.network.named_parameters()
    moved = {n for (n, _), g in zip(named, extra.gradients, strict=True) if g is not None}
    assert extra.metrics["structure/lambda"] > 0 and "unet.output.weight" in moved
    assert len(moved) > 10 and not any(name.startswith("uncertainty") for name in moved)


def test_an_interrupted_run_in_a_game_goes_on_bit_for_bit(made, digits, tmp_path, strong):
    train_whole_and_interrupted(made(structure=strong), digits, tmp_path)
    assert_same(final(tmp_path / "whole"), final(tmp_path / "cut"), rtol=0, atol=0)
    begun = load_denoiser(made().teacher).output_conv_weight
    assert not torch.equal(final(tmp_path / "whole")[0][KEY], begun)
