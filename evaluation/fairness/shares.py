"""Shares of classes from the answers of a classifier that errs."""

import numpy as np

ROUNDS = 10_000
STILL = 1e-12
"""Change of a share in one round below which the estimate stands."""


def confusion(answers: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """P(answer | class), float64 [count, count], each row of one class, from labelled images.

    answers, classes: int64 [N]. A class without an image is taken to be always answered rightly.
    """
    table = np.zeros((count, count))
    np.add.at(table, (classes, answers), 1.0)
    absent = table.sum(1) == 0
    table[absent, absent] = 1.0
    return table / table.sum(1, keepdims=True)


def answered_shares(answers: np.ndarray, count: int) -> np.ndarray:
    """Share of each answer, float64 [count]; answers int64 [N], N >= 1."""
    return np.bincount(answers, minlength=count) / len(answers)


def corrected_shares(answered: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The shares of classes under which these shares of answers are likeliest, float64 [count].

    Where the confusion matrix can be inverted and gives shares, these are answered @ inv(table)
    (so corrects CLEAM: Teo et al., On Measuring Fairness in Generative Models, NeurIPS 2023); else
    they lie on the edge of what shares can be. Expectation maximisation finds them.

    Args:
        answered: shares of answers, float64 [count].
        table: P(answer | class), float64 [count, count], as `confusion` gives it.
    """
    shares = np.full(len(answered), 1 / len(answered))
    for _ in range(ROUNDS):
        expected = shares @ table  # of each answer
        ratio = np.divide(answered, expected, out=np.zeros_like(answered), where=expected > 0)
        better = shares * (table @ ratio)
        total = better.sum()
        if total == 0:  # answers that no class ever gets: nothing can be told from them
            return answered
        better /= total
        if np.abs(better - shares).max() < STILL:
            return better
        shares = better
    return shares


def discrepancy(wanted: np.ndarray, found: np.ndarray) -> float:
    """Fairness discrepancy |wanted - found|_2 (Choi et al. 2020, arXiv 1910.12008)."""
    return float(np.linalg.norm(wanted - found))
