"""How much of an image an edit forgets: from strength to the noise level where the solver begins.

Source: Meng et al., SDEdit (ICLR 2022, arXiv 2108.01073).
"""

import math

_ROUNDING = 1e-9  # 0.07 * 100 is 7.000000000000001 in floating point, and means 7 steps


def first_step(strength: float, steps: int) -> int:
    """The step of the time grid, 0 to `steps`, with which an edit of this strength begins.

    Of N steps the last ceil(strength N) are run, so the image gets noise of standard deviation
    sigmas[N - ceil(strength N)]. 0 runs no step; whatever is above 0 runs one or more.
    """
    return steps - math.ceil(strength * steps - _ROUNDING)


def check_strength(strength: float, name: str = "strength") -> None:
    """Raise ValueError unless it is a number from 0 to 1."""
    number = isinstance(strength, int | float) and not isinstance(strength, bool)
    if not number or not 0 <= strength <= 1:
        raise ValueError(
            f"{name} {strength!r:.40}: give 0 (the image as it is) to 1 (the image is forgotten)"
        )
