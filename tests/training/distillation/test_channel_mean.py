"""The adversarial term on the critic's bottleneck: whose gradient it is, and when it acts."""

import csv

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from dataset.slots import slot_indices, slot_normal
from foundation.workers import World
from training.distillation.channel_mean import judge
from training.loop import train
from training.methods.build import build_method
from training.objectives import distribution_matching_gradient, follow
from training.students import DistributionMatchingConfig

SLOTS = range(16)


@pytest.fixture
def made(student_settings, digits):
    """made(**changes) -> (settings, method) with the adversarial term from the start."""

    def make(total_kimg=0.128, **changes):
        config = student_settings(
            "distribution_matching",
            total_kimg,
            **({"adversarial": 0.3, "adversarial_start_kimg": 0.0, "critic_steps": 2} | changes),
        )
        return config, build_method(config, digits, World())

    return make


def gradients(player):
    return [None if p.grad is None else p.grad.clone() for p in player.network.parameters()]


@pytest.mark.parametrize("rank", [0, 2])
def test_the_students_turn_gives_the_critic_no_gradient_and_the_student_one(made, rank):
    _, method = made(rank=rank)
    method.accumulate("student", SLOTS)
    assert all(gradient is None for gradient in gradients(method.players["critic"]))
    # The critic is still the teacher, so that the whole gradient is the adversarial one.
    found = gradients(method.players["student"])
    assert sum(float(g.norm()) for g in found if g is not None) > 0
    _, without = made(adversarial=0.0)
    without.accumulate("student", SLOTS)
    plain = gradients(without.players["student"])
    assert sum(float(g.norm()) for g in plain if g is not None) == 0


def test_the_students_gradient_is_that_of_the_whole_loss(made):
    """Beside plain differentiation of matching + weight * softplus(-h) through the critic."""
    _, method = made()
    with torch.no_grad():  # a critic that is not the teacher, so that both parts act
        for parameter in method.critic.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    method.accumulate("student", SLOTS)
    found = gradients(method.players["student"])
    for player in method.players.values():
        player.optimizer.zero_grad(set_to_none=True)
    images, labels = method.draw("student", SLOTS, 0)
    sigma = torch.from_numpy(method.compared(SLOTS)).float()
    noise = slot_normal(0, "student/renoise", SLOTS, images.shape[1:])
    noisy = images + sigma[:, None, None, None] * noise
    direction = distribution_matching_gradient(
        images.detach(), noisy.detach(), sigma, method.teacher, method.critic, labels
    )
    hidden = method.critic.encode(noisy, sigma, labels)
    term = F.softplus(-hidden.bottleneck.mean(1)).mean((1, 2))
    (follow(images, direction) + 0.3 * term).mean().backward()
    wanted = gradients(method.players["student"])
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_the_denoiser_beside_the_logits_is_the_critic(made):
    _, method = made()
    noisy, sigma, labels = torch.randn(4, 1, 8, 8), torch.full((4,), 0.7), torch.arange(4)
    logits, denoise = judge(method.critic, noisy, sigma, labels)
    assert logits.shape == (4, 4, 4), "one logit for each position of the bottleneck"
    assert torch.equal(denoise(noisy, sigma, labels), method.critic(noisy, sigma, labels))


def test_nothing_but_the_image_tells_real_from_fake(made, digits, monkeypatch):
    """Training images of the slots, with the labels and noise levels of the student's."""
    seen = []

    def watch(critic, noisy, sigma, labels):
        seen.append((noisy, sigma, labels))
        return judge(critic, noisy, sigma, labels)

    monkeypatch.setattr("training.methods.distribution_matching.judge", watch)
    _, method = made()
    method.critic_losses(SLOTS, 0)
    (fake, *beside), (real, *beside_real) = seen
    assert all(torch.equal(a, b) for a, b in zip(beside, beside_real, strict=True))
    train_indices = digits.train_indices
    stored, labels = digits.stored(train_indices[slot_indices(0, len(train_indices), SLOTS)])
    assert torch.equal(labels, beside_real[1])
    noise = slot_normal(0, "noise", SLOTS, (1, 8, 8))
    clean = real - beside[0].view(-1, 1, 1, 1) * noise
    torch.testing.assert_close(clean, method.critic.codec.encode(stored), rtol=0, atol=1e-4)
    assert not torch.allclose(fake, real)


def test_the_critic_learns_to_tell_and_the_student_to_be_taken_for_real(made):
    _, method = made(adversarial=30.0, adversarial_critic=30.0, critic_lr=0.02)
    critic, student = (method.players[name] for name in ("critic", "student"))

    def steps(player, turn, count):
        """Means of the player's losses at each of so many steps on the same slots."""
        means = []
        for _ in range(count):
            player.optimizer.zero_grad(set_to_none=True)
            sums = method.accumulate(turn, SLOTS)
            means.append({name: float(total) / len(SLOTS) for name, total in sums.items()})
            player.set_rates(100)
            player.step()
        return means

    told = steps(critic, "critic", 14)
    assert told[0]["accuracy"] < 0.75 and told[-1]["accuracy"] > 0.9
    taken = [losses["adversarial_loss"] for losses in steps(student, "student", 4)]
    assert taken == sorted(taken, reverse=True) and taken[-1] < 0.99 * taken[0]


def test_it_begins_with_the_global_batch_and_is_in_the_curves(made, digits, tmp_path):
    config, method = made(adversarial_start_kimg=0.04)
    assert [method.adversarial(range(n, n + 16)) for n in (16, 32, 48)] == [0.0, 0.0, 0.3]
    train(config, digits, tmp_path, World())
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    begun = [int(row["nimg"]) for row in rows if row["adversarial_loss"]]
    assert begun and min(begun) > 48 and rows[0]["critic/adversarial_loss"]
    for row in rows:
        assert 0 <= float(row["critic/accuracy"]) <= 1
    assert float(rows[-2]["adversarial_direction"] or rows[-1]["adversarial_direction"]) > 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"critic": False}, "adversarial 0.1: its logit is that of the critic"),
        ({"adversarial_start_kimg": 100.0}, "is not below total_kimg 100"),
    ],
)
def test_a_term_that_nobody_could_play_is_refused(changes, told):
    DistributionMatchingConfig(samplers=("one",), **changes)
    with pytest.raises(ValidationError, match=told):
        DistributionMatchingConfig(samplers=("one",), adversarial=0.1, **changes)
