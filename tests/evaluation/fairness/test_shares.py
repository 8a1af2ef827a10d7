"""Shares of classes from the answers of a classifier that errs."""

import numpy as np
import pytest

from evaluation.fairness.shares import (
    answered_shares,
    confusion,
    corrected_shares,
    discrepancy,
)

TABLE = np.array([[0.9, 0.1], [0.25, 0.75]])


def test_the_confusion_matrix_has_a_row_for_each_class():
    answers, classes = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 1])
    found = confusion(answers, classes, 3)
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (1.0, 0.0)])
def test_the_judges_errors_are_taken_out(shares):
    answered = np.array(shares) @ TABLE
    found = corrected_shares(answered, TABLE)
    np.testing.assert_allclose(found, shares, atol=1e-4)
    if shares[1] > 0:  # inside, where it is the inverse
        np.testing.assert_allclose(found, answered @ np.linalg.inv(TABLE), atol=1e-8)


def test_shares_stay_shares_where_the_inverse_leaves_them():
    answered = np.array([0.95, 0.05])  # no mixture of the classes is answered so
    inverse = answered @ np.linalg.inv(TABLE)
    assert inverse[1] < 0
    np.testing.assert_allclose(corrected_shares(answered, TABLE), [1, 0], atol=1e-6)


def test_answers_that_no_class_gets_are_left_as_they_are():
    table = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    answered = np.array([0.0, 0.0, 1.0])
    np.testing.assert_array_equal(corrected_shares(answered, table), answered)


def test_a_judge_that_errs_hides_a_discrepancy_of_nothing():
    answers = np.random.default_rng(0).choice(2, 100_000, p=np.array([0.5, 0.5]) @ TABLE)
    answered = answered_shares(answers, 2)
    wanted = np.array([0.5, 0.5])
    assert discrepancy(wanted, answered) == pytest.approx(0.075 * np.sqrt(2), abs=0.005)
    assert discrepancy(wanted, corrected_shares(answered, TABLE)) < 0.01


def test_discrepancy_is_the_euclidean_distance():
    assert discrepancy(np.array([0.5, 0.5]), np.array([0.9, 0.1])) == pytest.approx(0.4 * 2**0.5)
