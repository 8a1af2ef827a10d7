"""Decides when the denoiser gets the adversarial gradient, and says why not."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from training.structure.config import GateConfig

Reason = Literal[
    "",
    "warming up",
    "held-out loss worsened",
    "discriminator wins by far",
    "too few plays",
    "discriminator at chance",
]
"""Why the gate is shut; "" if it is open."""

WARMING_UP: Reason = "warming up"
WORSENED: Reason = "held-out loss worsened"
WINS: Reason = "discriminator wins by far"
TOO_FEW: Reason = "too few plays"
CHANCE: Reason = "discriminator at chance"

CERTAINTY = 2.0
"""Standard errors by which the smoothed accuracy must exceed one half."""


class Gate:
    """Open, or shut for a reason. While it is shut the denoiser gets no adversarial gradient.

    *Too few plays*: fewer than `min_plays` were measured since the game began, or since its
    features were renewed, so the accuracy is not trusted yet. *At chance*: the smoothed accuracy
    does not exceed one half by `chance_margin` and by two of its own standard errors (which are
    larger for small, noisy batches). In both cases the discriminator goes on learning. *Wins by
    far*: the smoothed logit gap is above `win_gap`. The discriminator then stops learning, and its
    logits are scaled down play by play until the gap is small enough. *Held-out
    loss worsened*: each sigma bin has a reference, its best held-out loss so far and the train loss
    measured with it. The gate shuts if in some bin the held-out loss, or its distance from the
    train loss, has grown by more than `max_worsening` of the reference. The first shows a bias that
    raises both losses, the second shows overfitting. The gate opens again when the loss has
    recovered. If the loss has not improved although the game has paused for longer than the
    averages remember, the game cannot be the cause any more, and the current loss becomes the
    reference.

    trained: whether there is a discriminator that learns. Without one there is no accuracy and no
    logit gap, and only the held-out loss shuts the gate.
    """

    def __init__(self, config: GateConfig, trained: bool = True):
        self.config, self.trained = config, trained
        self.warm = False
        self.plays = 0
        self.open_plays = 0
        self.shut_plays: Counter[Reason] = Counter()
        self.worst_bin = -1
        self.worsening = 0.0
        """Relative worsening in the worst sigma bin at the last held-out measurement."""
        self._worsened = False
        self._paused_at = 0  # images seen when the loss was first found to have worsened
        self._reference: tuple[list[float], list[float]] | None = None  # held-out, train; per bin
        self._trusted = 0
        self._accuracy = _Smoothed(config.smoothing)
        self._gap = _Smoothed(config.smoothing)

    @property
    def open(self) -> bool:
        return not self.reason

    @property
    def wins(self) -> bool:
        """Whether the discriminator wins by far, even if `reason` is another one."""
        return self.warm and self._gap.mean > self.config.win_gap

    @property
    def reason(self) -> Reason:
        """The most serious reason why the gate is shut; '' if it is open."""
        if not self.warm:
            return WARMING_UP
        if self._worsened:
            return WORSENED
        if self.wins:
            return WINS
        if not self.trained:
            return ""
        if self._trusted < self.config.min_plays:
            return TOO_FEW
        needed = max(self.config.chance_margin, CERTAINTY * self._accuracy.standard_error)
        if self._accuracy.mean - 0.5 <= needed:
            return CHANCE
        return ""

    @property
    def explanation(self) -> str:
        """The reason with its numbers, for a log line; '' if the gate is open."""
        reason = self.reason
        if reason == WORSENED:
            return f"{reason} by {self.worsening:.1%} in sigma bin {self.worst_bin}"
        if reason == WINS:
            return f"{reason}: logit gap {self._gap.mean:.2f}"
        if reason == TOO_FEW:
            return f"{reason}: {self._trusted} of {self.config.min_plays}"
        if reason == CHANCE:
            return f"{reason}: accuracy {self._accuracy.mean:.3f} after {self._trusted} plays"
        return reason

    def start(self) -> None:
        """End the warm-up, or begin again with new features; accuracy and gap are measured anew."""
        self.warm = True
        self._trusted = 0
        self._accuracy = _Smoothed(self.config.smoothing)
        self._gap = _Smoothed(self.config.smoothing)

    def observe_play(self, accuracy: float, gap: float) -> None:
        """Count a play under the reason that held during it, and add its accuracy and logit gap."""
        self.plays += 1
        if self.open:
            self.open_plays += 1
        else:
            self.shut_plays[self.reason] += 1
        if math.isfinite(accuracy) and math.isfinite(gap):
            self._trusted += 1
            self._accuracy.add(accuracy)
            self._gap.add(gap)

    def observe_held_out(
        self, held_out: Sequence[float], train: Sequence[float], nimg: int = 0, memory: float = 0.0
    ) -> None:
        """Judge the denoising losses per sigma bin, measured with the same noise each time.

        nimg: images seen. memory: number of last images that the measured average still remembers.
        A bin with a loss that is not finite is not judged. Raises ValueError if the number of bins
        changes.
        """
        held_out, train = [float(v) for v in held_out], [float(v) for v in train]
        if len(held_out) != len(train):
            raise ValueError(
                f"held-out losses of {len(held_out)} sigma bins but train losses of {len(train)}: "
                "measure both in the same bins"
            )
        if not self.warm or self._reference is None:
            self._reference = (held_out, train)
            return
        if len(held_out) != len(self._reference[0]):
            raise ValueError(
                f"losses of {len(held_out)} sigma bins after {len(self._reference[0])}: "
                "keep train.sigma_bins as it was"
            )
        before, was_shut = self.worsening, self._worsened
        for index, best in enumerate(self._reference[0]):
            if held_out[index] <= best:
                self._reference[0][index], self._reference[1][index] = held_out[index], train[index]
        self.worst_bin, self.worsening = _worst(self._reference, (held_out, train))
        self._worsened = self.worsening > self.config.max_worsening
        if not was_shut:
            self._paused_at = nimg
        forgotten = nimg - self._paused_at >= memory
        if was_shut and self._worsened and forgotten and self.worsening >= before:
            self._reference = (held_out, train)
            self._worsened, self.worsening, self.worst_bin = False, 0.0, -1

    def summary(self) -> dict:
        """For train.json: {"shut_reasons": {reason: plays}, "open_fraction": share of plays}."""
        return {
            "shut_reasons": {
                str(reason): count for reason, count in sorted(self.shut_plays.items())
            },
            "open_fraction": self.open_plays / self.plays if self.plays else None,
        }

    def state_dict(self) -> dict:
        """The whole state, JSON-able."""
        return {
            "warm": self.warm,
            "plays": self.plays,
            "open_plays": self.open_plays,
            "shut_plays": dict(self.shut_plays),
            "worst_bin": self.worst_bin,
            "worsening": self.worsening,
            "worsened": self._worsened,
            "paused_at": self._paused_at,
            "reference": None if self._reference is None else [list(v) for v in self._reference],
            "trusted": self._trusted,
            "accuracy": self._accuracy.state_dict(),
            "gap": self._gap.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.warm = state["warm"]
        self.plays = state["plays"]
        self.open_plays = state["open_plays"]
        self.shut_plays = Counter(state["shut_plays"])
        self.worst_bin = state["worst_bin"]
        self.worsening = state["worsening"]
        self._worsened = state["worsened"]
        self._paused_at = state.get("paused_at", 0)
        reference = state["reference"]
        self._reference = None if reference is None else (reference[0], reference[1])
        self._trusted = state["trusted"]
        self._accuracy.load_state_dict(state["accuracy"])
        self._gap.load_state_dict(state["gap"])


class _Smoothed:
    """Exponentially smoothed mean of a series, with the standard error of that mean."""

    def __init__(self, beta: float):
        self.beta = beta
        self.weight = self.first = self.second = self.squares = 0.0

    def add(self, value: float) -> None:
        new = 1.0 - self.beta
        self.weight = self.beta * self.weight + new
        self.first = self.beta * self.first + new * value
        self.second = self.beta * self.second + new * value * value
        self.squares = self.beta**2 * self.squares + new**2

    @property
    def mean(self) -> float:
        return self.first / self.weight if self.weight else 0.0

    @property
    def standard_error(self) -> float:
        """Standard error of the mean of independent values; 0 for fewer than two."""
        if not self.weight:
            return 0.0
        share = self.squares / self.weight**2  # 1 / effective number of values
        if share >= 1.0 - 1e-9:
            return 0.0
        variance = max(self.second / self.weight - self.mean**2, 0.0) / (1.0 - share)
        return math.sqrt(variance * share)

    def state_dict(self) -> list[float]:
        return [self.weight, self.first, self.second, self.squares]

    def load_state_dict(self, state: list[float]) -> None:
        self.weight, self.first, self.second, self.squares = state


def _worst(
    reference: tuple[list[float], list[float]], now: tuple[list[float], list[float]]
) -> tuple[int, float]:
    """(the sigma bin that worsened most, or -1; by what share of its held-out reference)."""
    worst_bin, worst = -1, 0.0
    for index, (old_held, old_train, held, train) in enumerate(zip(*reference, *now, strict=True)):
        # The loss shows a bias that raises both losses alike, the gap shows overfitting.
        worsening = max(held - old_held, (held - train) - (old_held - old_train)) / max(
            abs(old_held), 1e-12
        )
        if math.isfinite(worsening) and worsening > worst:
            worst_bin, worst = index, worsening
    return worst_bin, worst
