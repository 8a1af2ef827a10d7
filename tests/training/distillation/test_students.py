"""Students in the training loop: exact splits, bitwise resume, a teacher that never changes."""

import hashlib
import json

import pytest
import torch
from small_runs import assert_same, final, train_on_two_workers, train_whole_and_interrupted

from foundation.workers import World
from models.denoiser import Denoiser, describe, load_denoiser
from models.layers.slot_dropout import SlotDropout
from models.weights import WeightsError, save_weights
from sampling.config import SamplerConfig
from training.loop import step, train
from training.methods.build import build_method
from training.state.train_state import TrainState

FEW = SamplerConfig(solver="heun", grid="karras", steps=3)
KINDS = {
    "regression": {"pairs": 40, "sampler": FEW},
    "consistency": {"stage_kimg": 0.048},
    "ddo": {"pairs": 40, "sampler": FEW},
    "consistency by the teacher": {
        "target": "teacher",
        "teacher_solver": "heun",
        "stage_kimg": 0.032,
    },
    "distribution_matching": {"critic_steps": 3, "start": (80.0, 2.0)},
    "distribution_matching, regression": {
        "critic_steps": 2,
        "regression": 0.25,
        "pairs": 40,
        "sampler": FEW,
    },
    "distribution_matching, adversarial": {
        "critic_steps": 1,
        "start": (80.0, 2.0),
        "adversarial": 0.3,
        "adversarial_critic": 0.3,
        "adversarial_start_kimg": 0.02,
    },
}


def kind_of(name):
    return name.split(",")[0].split(" by ")[0]


@pytest.fixture
def made(student_settings):
    """made(name, **changes) -> RunSettings of one of KINDS."""

    def make(name, total_kimg=0.128, micro_batch=None, **changes):
        return student_settings(
            kind_of(name), total_kimg, micro_batch=micro_batch, **(KINDS[name] | changes)
        )

    return make


@pytest.mark.parametrize("name", KINDS)
def test_an_interrupted_student_equals_uninterrupted_bit_for_bit(made, digits, tmp_path, name):
    train_whole_and_interrupted(made(name), digits, tmp_path)
    assert_same(final(tmp_path / "whole"), final(tmp_path / "cut"), rtol=0, atol=0)
    summary = json.loads((tmp_path / "whole" / "train.json").read_text())
    assert summary["student"] == kind_of(name) and summary["skipped_steps"] == 0
    assert len(list((tmp_path / "whole" / "snapshots").glob("*.safetensors"))) == 8


@pytest.mark.parametrize("name", KINDS)
def test_accumulation_changes_nothing_but_rounding(made, digits, tmp_path, name):
    train(made(name, 0.048), digits, tmp_path / "whole", World())
    train(made(name, 0.048, micro_batch=5), digits, tmp_path / "parts", World())
    assert_same(final(tmp_path / "whole"), final(tmp_path / "parts"), rtol=1e-3, atol=5e-5)


BOTH_TERMS = {"adversarial": 0.3, "adversarial_start_kimg": 0.02}


@pytest.mark.parametrize(
    ("name", "changes"), [("distribution_matching, regression", BOTH_TERMS), ("consistency", {})]
)
def test_two_workers_follow_one(made, digits, digits_folder, tmp_path, free_port, name, changes):
    config = made(name, 0.064, **changes)
    train(config, digits, tmp_path / "one", World())
    train_on_two_workers(config, digits_folder, tmp_path / "two", free_port)
    assert_same(final(tmp_path / "one"), final(tmp_path / "two"), rtol=1e-3, atol=5e-5)


@pytest.mark.parametrize("name", KINDS)
def test_the_teacher_never_changes_and_its_copies_do(made, digits, teacher_file, name):
    before = hashlib.sha256(teacher_file.read_bytes()).hexdigest()
    config = made(name)
    method = build_method(config, digits, World())
    kept = {n: t.clone() for n, t in method.teacher.state_dict().items()}
    state = TrainState(method)
    for player in method.players.values():
        for key, tensor in player.network.state_dict().items():
            assert torch.equal(tensor, kept[key]), "each begins as a copy"
    for _ in range(3):
        step(config, state, World())
    assert all(torch.equal(t, kept[n]) for n, t in method.teacher.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in method.teacher.parameters())
    assert not method.teacher.training
    for player in method.players.values():
        weights = player.network.state_dict()
        assert any(not torch.equal(weights[n], t) for n, t in kept.items())
        again = {n: t.clone() for n, t in weights.items()}
        player.network.normalize_weights()
        assert all(torch.allclose(again[n], t, atol=1e-6) for n, t in weights.items())
    assert hashlib.sha256(teacher_file.read_bytes()).hexdigest() == before


def test_the_critic_learns_at_every_step_and_the_student_at_every_third(made, digits):
    config = made("distribution_matching")
    method = build_method(config, digits, World())
    assert [method.turns(n) for n in range(4)] == [
        ("student", "critic"), ("critic",), ("critic",), ("student", "critic"),
    ]  # fmt: skip
    state = TrainState(method)
    moved = {"student": [], "critic": []}
    for _ in range(4):
        before = {n: p.network.output_conv_weight.clone() for n, p in method.players.items()}
        step(config, state, World())
        for name, player in method.players.items():
            moved[name].append(not torch.equal(before[name], player.network.output_conv_weight))
    # The first direction of a student whose critic is the teacher is exactly zero.
    assert moved == {"student": [False, False, False, True], "critic": [True] * 4}
    assert method.players["critic"].averages is None


def test_the_first_direction_is_bitwise_zero(made, digits):
    method = build_method(made("distribution_matching"), digits, World())
    losses = method.student_losses(range(16), 0)
    assert torch.equal(losses["direction"], torch.zeros(16))
    alone = build_method(made("distribution_matching", critic=False), digits, World())
    assert alone.turns(1) == () and (alone.student_losses(range(16), 0)["direction"] > 0).all()


def test_dropout_of_a_teacher_in_training_mode_would_be_seen(made, digits):
    method = build_method(made("distribution_matching"), digits, World())
    for network in (method.teacher, method.student, method.critic):
        for module in network.modules():
            if isinstance(module, SlotDropout):
                module.p = 0.5
    assert not method.student_losses(range(16), 0)["direction"].any()
    method.teacher.train()
    assert (method.student_losses(range(16), 0)["direction"] > 0).all()


def test_images_of_k_evaluations_are_the_samplers(made, digits):
    """What the student is trained on is what the deployed sampler draws from the same noise."""
    from dataset.slots import slot_normal
    from sampling.solvers.consistency import Consistency

    method = build_method(made("distribution_matching"), digits, World())
    slots = range(32, 40)
    images, labels = method.draw("critic", slots, 1)
    noises = [slot_normal(0, f"critic/noise of evaluation {n}", slots, (1, 8, 8)) for n in range(2)]
    sampled = Consistency().run(
        lambda x, sigma: method.student(x, sigma, labels),
        80.0 * noises[0],
        [80.0, 2.0, 0.0],
        lambda like: noises[1],
        lambda *a: None,
    )
    torch.testing.assert_close(images, sampled)
    stops = {method.stop(range(16 * n, 16 * n + 16)) for n in range(40)}
    assert stops == {0, 1}, "both numbers of evaluations occur"


def test_the_adversarial_term_moves_the_student(made, digits, tmp_path, game):
    plain = made("distribution_matching", 0.192, critic_steps=2)
    played = made("distribution_matching", 0.192, critic_steps=2, structure=game)
    for name, config in (("plain", plain), ("played", played)):
        train(config, digits, tmp_path / name, World())
    summary = json.loads((tmp_path / "played" / "train.json").read_text())
    assert summary["structure_plays"] == 6 and summary["student"] == "distribution_matching"
    one, other = (final(tmp_path / name)[0] for name in ("plain", "played"))
    key = "players.student.network.unet.output.weight"
    assert not torch.equal(one[key], other[key])


def test_pairs_are_the_teachers_images_and_are_read_back(made, digits, tmp_path, monkeypatch):
    config = made("regression").model_copy(update={"pairs_cache": str(tmp_path / "pairs")})
    method = build_method(config, digits, World())
    noise, images, labels = method.teacher_pairs.batch(torch.arange(6).numpy())
    from sampling.generate import generate

    drawn = generate(load_denoiser(config.teacher), FEW, 0, range(6), labels)
    torch.testing.assert_close(images, drawn)
    assert (
        noise.shape == images.shape and labels.tolist() == method.teacher_pairs.labels[:6].tolist()
    )
    (file,) = (tmp_path / "pairs").rglob("*.npy")
    monkeypatch.setattr("training.distillation.pairs.generate", None)  # nothing is drawn again
    again = build_method(config, digits, World())
    assert torch.equal(again.teacher_pairs.images, method.teacher_pairs.images)
    monkeypatch.undo()
    blob = bytearray(file.read_bytes())
    blob[-3] ^= 64
    file.write_bytes(blob)  # a damaged file is drawn anew
    mended = build_method(config, digits, World())
    assert torch.equal(mended.teacher_pairs.images, method.teacher_pairs.images)


@pytest.mark.parametrize(
    ("shape", "classes", "told"),
    [((1, 16, 16), 10, r"draws images \[1, 16, 16\]"), ((1, 8, 8), 3, "knows 3 classes")],
)
def test_a_teacher_of_other_data_is_refused(made, digits, tmp_path, shape, classes, told):
    config = made("consistency")
    other = Denoiser(shape, classes, config.model)
    path = tmp_path / "other.safetensors"
    save_weights(path, other.state_dict(), describe(other))
    with pytest.raises(WeightsError, match=told):
        build_method(config.model_copy(update={"teacher": str(path)}), digits, World())
