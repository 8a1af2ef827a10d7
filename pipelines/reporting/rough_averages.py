"""Which averages of weights, made from snapshots, differ much from a true moving average."""

from collections.abc import Mapping

ROUGH = 0.05
"""From this relative error of its profile on, an average is told to be rough."""


def rough_averages(errors: Mapping[str, float | None]) -> list[str]:
    """ "0.15 (11%)" for each rough EMA length. errors: {length: relative profile error}.

    The profile is the weight that each moment of the training has in the average.
    """
    return [f"{length} ({e:.0%})" for length, e in errors.items() if e is not None and e >= ROUGH]
