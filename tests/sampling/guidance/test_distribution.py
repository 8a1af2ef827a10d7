"""Guidance of groups through the hidden state, on a network whose hidden state is the image."""

from dataclasses import dataclass

import pytest
import torch

from sampling.guidance.distribution import DistributionConfig, HiddenShift, norms

GROUP, VALUES, CHANNELS = 6, 3, 4
TARGET = {"a": 0.2, "b": 0.3, "c": 0.5}


@dataclass(frozen=True)
class State:
    bottleneck: torch.Tensor
    sigma: torch.Tensor


class Network:
    """encode is the identity, decode doubles."""

    sigma_data, image_shape, num_classes = 0.5, (CHANNELS, 1, 1), 0

    def encode(self, x, sigma, labels=None):
        return State(x, sigma)

    def decode(self, state):
        return 2 * state.bottleneck

    def __call__(self, x, sigma, labels=None):
        return self.decode(self.encode(x, sigma, labels))


class Linear:
    """A linear head."""

    names = ("a", "b", "c")
    prior = torch.full((VALUES,), 1 / VALUES, dtype=torch.float64)
    weight = torch.randn(VALUES, CHANNELS, generator=torch.Generator().manual_seed(3)).double()

    def log_probs(self, x, sigma, labels=None):
        raise AssertionError("the hidden state is enough")

    def of_hidden(self, state):
        return (state.bottleneck.flatten(1) @ self.weight.T).log_softmax(1)


def images(groups=2):
    generator = torch.Generator().manual_seed(4)
    return torch.randn(groups * GROUP, CHANNELS, 1, 1, generator=generator).double()


def shift(weight=1.0, most_change=1.0):
    config = DistributionConfig(target=TARGET, group=GROUP, weight=weight, most_change=most_change)
    return config.wrap(Network(), Linear())


def test_the_gradient_is_that_of_the_closed_form():
    x, head, wanted = images(), Linear(), torch.tensor(list(TARGET.values())).double()
    slope = shift().slope(State(x, torch.ones(len(x)))).flatten(1)
    chances = head.of_hidden(State(x, None)).exp()
    for group in range(2):
        rows = slice(group * GROUP, (group + 1) * GROUP)
        mean = chances[rows].mean(0)
        for c, found in zip(chances[rows], slope[rows], strict=True):
            jacobian = (c.diag() - c[:, None] * c) @ head.weight  # of c by h
            expected = jacobian.T @ (2 * (mean - wanted) / wanted)  # times G / G
            assert torch.allclose(found, expected, atol=1e-12)


def test_small_steps_lower_the_loss_of_every_group():
    x, sigma, wanted = images(), torch.ones(2 * GROUP), torch.tensor(list(TARGET.values()))

    def loss(h):
        means = Linear().of_hidden(State(h, None)).exp().view(2, GROUP, VALUES).mean(1)
        return ((means - wanted) ** 2 / wanted).sum(1)

    assert (loss(shift(weight=0.05)(x, sigma) / 2) < loss(x)).all()
    wrong = shift(weight=0.05)
    wrong.weight = -0.05
    assert (loss(wrong(x, sigma) / 2) > loss(x)).all()


def test_within_a_group_the_order_does_not_matter_and_other_groups_do_not():
    x, sigma = images(), torch.ones(2 * GROUP)
    guided = shift(weight=2.0)
    whole = guided(x, sigma)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    assert torch.allclose(guided(x[order], sigma[:GROUP]), whole[order], atol=1e-12)
    assert torch.allclose(guided(x[GROUP:], sigma[:GROUP]), whole[GROUP:], atol=1e-12)
    other = torch.cat([x[: GROUP - 1], x[-1:]])
    assert not torch.allclose(guided(other, sigma[:GROUP])[:-1], whole[: GROUP - 1])


def test_weight_0_changes_no_bit_and_the_change_is_limited():
    x, sigma = images(), torch.ones(2 * GROUP)
    assert torch.equal(shift(weight=0.0)(x, sigma), Network()(x, sigma))
    moved = shift(weight=100.0, most_change=0.1)(x, sigma) / 2
    assert torch.allclose(norms(moved - x), 0.1 * norms(x), atol=1e-9)


def test_cut_groups_and_denoisers_without_a_hidden_state_are_refused():
    x = images()[:-1]
    with pytest.raises(ValueError, match="11 images cut groups of 6"):
        shift()(x, torch.ones(len(x)))
    with pytest.raises(ValueError, match="comes first in the list"):
        HiddenShift(shift(), Linear(), TARGET, GROUP, 1.0)


def test_a_predictor_that_reads_no_hidden_state_is_refused_before_sampling():
    class OfImages:
        names, prior = Linear.names, Linear.prior

        def log_probs(self, x, sigma, labels=None):
            return x

    config = DistributionConfig(target=TARGET, group=GROUP)
    with pytest.raises(ValueError, match="reads hidden states"):
        config.wrap(Network(), OfImages())
