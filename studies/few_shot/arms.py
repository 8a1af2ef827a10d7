"""The arms of the study: how the adapters are fitted."""

from typing import Any

from training.few_shot.settings import FitSettings

STEPS = {1: 60, 4: 120, 16: 300}
"""{shots: steps}; TiF takes 60 for one shot to 1,000 for sixteen, at a lower rate."""
ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "weak": {"scale": 0.6},
    "small_noise": {"sigma_range": (0.05, 0.5)},
    "large_noise": {"sigma_range": (0.5, 5.0)},
    "moved": {"shift": 1},
    "mirrored": {"flip": True},
    "slow": {"lr": 0.003},
    "long": {"steps_times": 4},
}
"""{name: what is not as usual}. weak: the strength that TiF tests at. small_noise, large_noise:
adapters at half of the levels. slow, long: a lower rate, four times the steps."""


def fit_settings(arm: str, shots: int, steps: int | None = None) -> FitSettings:
    """The settings of an arm for so many shots. steps: in place of STEPS."""
    changes = dict(ARMS[arm])
    usual = steps or STEPS[min(STEPS, key=lambda known: abs(known - shots))]
    return FitSettings(steps=usual * changes.pop("steps_times", 1), **changes)
