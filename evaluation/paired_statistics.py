"""Mean, standard deviation and paired differences over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class MeanAndDeviation:
    """Mean and standard deviation (divisor n - 1) of n values; sd is None if n is 1."""

    n: int
    mean: float
    sd: float | None


@dataclass(frozen=True)
class Difference:
    """Mean difference of two variants over common seeds, with its 95% t interval.

    low and high are None for a single seed.
    """

    n: int
    mean: float
    low: float | None
    high: float | None

    @property
    def resolved(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def mean_and_deviation(values: Sequence[float]) -> MeanAndDeviation:
    """Mean and standard deviation of a few values."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return MeanAndDeviation(len(values), float(np.mean(values)), sd)


def paired_difference(first: dict[int, float], other: dict[int, float]) -> Difference | None:
    """other - first over the seeds that both have (Student's paired t); None without any.

    Both are {seed: value}.
    """
    seeds = sorted(first.keys() & other.keys())
    if not seeds:
        return None
    gaps = np.array([other[seed] - first[seed] for seed in seeds])
    mean, n = float(gaps.mean()), len(gaps)
    if n < 2:
        return Difference(n, mean, None, None)
    from scipy import stats

    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * float(gaps.std(ddof=1)) / math.sqrt(n)
    return Difference(n, mean, mean - reach, mean + reach)


def mean_text(found: MeanAndDeviation | None) -> str:
    """ "1.1 ± 0.1 (n=3)"; "" for None."""
    if found is None:
        return ""
    sd = f" ± {found.sd:.2g}" if found.sd is not None else ""
    return f"{found.mean:.4g}{sd} (n={found.n})"


def difference_text(found: Difference | None) -> str:
    """ "-0.5 [-0.6, -0.4]*": mean and interval, with a star if 0 lies outside; "" for None."""
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.mean:+.3g} (one seed: no interval)"
    star = "*" if found.resolved else ""
    return f"{found.mean:+.3g} [{found.low:+.3g}, {found.high:+.3g}]{star}"
