"""Classification by denoising errors, against Bayes on mixtures and by permutations."""

from itertools import pairwise

import pytest
import torch

from evaluation.denoising_classifier import (
    Round,
    check_rounds,
    classify,
    decide,
    image_noise,
    level_errors,
    scattered,
    spread_levels,
)
from models.analytic import GaussianMixtureDenoiser
from models.attribute_loss import level_weights, likelihood_weight
from models.errors import denoising_errors

MEANS = torch.tensor([[-1, 0.0], [1, 0.0], [0, 1.4], [0, -1.4]], dtype=torch.float64)
MIXTURE = GaussianMixtureDenoiser(MEANS.view(4, 2, 1, 1), 0.45, None, [0, 1, 2, 3])
LEVELS = spread_levels(0.05, 8, 32)
CHANCE = 0.25


def errors(number, images, sigmas, noise):
    labels = torch.full((len(images),), number)
    return denoising_errors(MIXTURE, images, labels, sigmas, noise)


@pytest.fixture(scope="module")
def data():
    return MIXTURE.sample(400, torch.Generator().manual_seed(0))


def accuracy(found, classes):
    return float((found == classes).double().mean())


def bayes(images, classes):
    zero = torch.zeros(len(images), dtype=torch.float64)
    logs = [MIXTURE.log_prob(images, zero, torch.full((len(images),), c)) for c in range(4)]
    return accuracy(torch.stack(logs, 1).argmax(1), classes)


def test_it_is_nearly_bayes_and_swapped_denoisers_are_not(data):
    images, classes = data
    found = classify(errors, 4, images, LEVELS, likelihood_weight)
    best = bayes(images, classes)
    assert best > 0.9 and accuracy(found.classes, classes) > best - 0.03
    assert found.evaluations == 400 * 4 * 32 and found.scores.isfinite().all()

    def swapped(number, *rest):
        return errors((number + 1) % 4, *rest)

    wrong = classify(swapped, 4, images, LEVELS, likelihood_weight)
    assert accuracy(wrong.classes, classes) < CHANCE


def test_shuffled_levels_are_caught():
    """Two classes about one point: errors weighted as if they were of other levels know less."""
    both = GaussianMixtureDenoiser(torch.zeros(2, 2, 1, 1), torch.tensor([0.2, 0.8]), None, [0, 1])
    images, classes = both.sample(400, torch.Generator().manual_seed(0))

    def wide_or_narrow(number, images, sigmas, noise):
        labels = torch.full((len(images),), number)
        return denoising_errors(both, images, labels, sigmas, noise)

    def told_another(number, images, sigmas, noise):
        order = torch.randperm(len(sigmas), generator=torch.Generator().manual_seed(0))
        another = dict(zip(sigmas.tolist(), sigmas[order].tolist(), strict=True))

        def answer(x, sigma, labels):
            return both(x, torch.tensor([another[level] for level in sigma.tolist()]), labels)

        labels = torch.full((len(images),), number)
        return denoising_errors(answer, images, labels, sigmas, noise)

    levels = spread_levels(0.02, 20, 96)
    every = level_errors(wide_or_narrow, 2, images, levels, 0)
    right = accuracy(decide(every, likelihood_weight(levels)), classes)
    assert right > 0.86  # Bayes: 0.89
    assert accuracy(decide(every, likelihood_weight(levels.flip(0))), classes) < right - 0.1
    told = level_errors(told_another, 2, images, levels, 0)
    assert accuracy(decide(told, likelihood_weight(levels)), classes) < right - 0.1


@pytest.mark.parametrize("kind", ["uniform", "likelihood", "time_step"])
def test_a_permutation_of_the_classes_permutes_the_answers(data, kind):
    images, order = data[0][:60], [2, 0, 3, 1]

    def weigh(sigmas):
        return level_weights(kind, sigmas, 1.0)

    rounds = [Round(4, 3), Round(12, 2), Round(32, 1)]
    plain = classify(errors, 4, images, LEVELS, weigh, rounds)
    permuted = classify(
        lambda number, *rest: errors(order[number], *rest), 4, images, LEVELS, weigh, rounds
    )
    assert torch.equal(torch.tensor(order)[permuted.classes], plain.classes)
    assert torch.equal(permuted.scores, plain.scores[:, order])


def test_rounds_that_keep_all_are_the_full_evaluation(data):
    images = data[0][:50]
    full = classify(errors, 4, images, LEVELS, likelihood_weight, seed=5)
    rounds = [Round(3, 4), Round(20, 4), Round(32, 1)]
    kept = classify(errors, 4, images, LEVELS, likelihood_weight, rounds, seed=5)
    assert torch.allclose(kept.scores, full.scores, rtol=1e-12)
    assert torch.equal(kept.classes, full.classes) and kept.evaluations == full.evaluations
    every = level_errors(errors, 4, images, LEVELS, 5)
    assert torch.equal(decide(every, likelihood_weight(LEVELS)), full.classes)
    other = classify(errors, 4, images, LEVELS, likelihood_weight, seed=6)
    assert not torch.allclose(other.scores, full.scores)


def test_elimination_costs_less_and_answers_nearly_the_same(data):
    images = data[0]
    rounds = [Round(8, 2), Round(32, 1)]
    found = classify(errors, 4, images, LEVELS, likelihood_weight, rounds)
    assert found.evaluations == 400 * (4 * 8 + 2 * 24)
    assert (found.scores.isinf().sum(1) == 2).all()
    full = classify(errors, 4, images, LEVELS, likelihood_weight)
    assert accuracy(found.classes, full.classes) > 0.97


def test_the_answer_is_a_class_that_is_left_and_not_its_place():
    """Class 0 wins the last round only if it was not eliminated in the first."""
    seen = []

    def staged(number, images, sigmas, noise):
        seen.append((number, len(sigmas), len(images)))
        first = len(seen) <= 4
        values = [9.0, 3.0, 1.0, 2.0] if first else [0.0, 9.0, 5.0, 1.0]
        return torch.full((len(images), len(sigmas)), values[number])

    images = torch.zeros(3, 1, 2, 2)
    levels = spread_levels(0.1, 1, 4)
    found = classify(
        staged, 4, images, levels, lambda s: torch.ones(len(s)), [Round(1, 2), Round(4, 1)]
    )
    assert found.classes.tolist() == [3, 3, 3]
    assert [number for number, _, _ in seen] == [0, 1, 2, 3, 2, 3]


def test_every_beginning_of_the_order_is_spread():
    assert scattered(8) == [0, 4, 2, 6, 1, 5, 3, 7]
    for count in (1, 7, 20, 32, 100):
        order = scattered(count)
        assert sorted(order) == list(range(count))
        for taken in (4, 10):
            places = sorted(order[:taken])
            gaps = [b - a for a, b in pairwise(places)]
            assert not gaps or max(gaps) <= 3 * max(1, count // taken)


def test_levels_are_the_middles_of_equal_parts():
    assert torch.allclose(spread_levels(0.01, 1, 2), torch.tensor([10**-1.5, 10**-0.5]))
    weights = level_weights("uniform", spread_levels(0.05, 5, 32))
    assert torch.allclose(weights, weights[0]) and float(weights.sum()) == pytest.approx(
        4.605, 1e-3
    )


def test_noise_is_of_the_image_and_the_level():
    first, later = (
        image_noise(range(0, 6), 5, (1, 4, 4), 3),
        image_noise(range(4, 6), 5, (1, 4, 4), 3),
    )
    assert first.shape == (5, 6, 1, 4, 4) and torch.equal(first[:, 4:], later)
    assert first.flatten(0, 1).flatten(1).unique(dim=0).shape[0] == 30


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ([], "rounds : each asks at more"),
        ([(8, 2), (8, 1)], "rounds 8:2,8:1: each asks at more"),
        ([(0, 1)], "each asks at more"),
        ([(8, 2), (32, 3)], "the last 1"),
        ([(8, 2), (32, 2)], "the last 1"),
        ([(8, 2), (16, 1)], "the last asks at all 32 levels"),
    ],
)
def test_rounds_that_decide_nothing_are_refused(rounds, message):
    with pytest.raises(ValueError, match=message):
        check_rounds([Round(*one) for one in rounds], 32)


def test_errors_that_are_no_numbers_are_refused():
    def broken(number, images, sigmas, noise):
        return torch.full((len(images), len(sigmas)), torch.nan if number else 1.0)

    with pytest.raises(ValueError, match="class 1 are not finite"):
        classify(broken, 2, torch.zeros(2, 1, 2, 2), LEVELS, likelihood_weight)
