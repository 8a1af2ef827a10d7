"""The values that one key of a sweep's space may take: a choice, a range, or a fixed value."""

import json
import math
from dataclasses import dataclass
from typing import Any

KINDS = ("choice", "uniform", "loguniform", "int")
MAX_CHOICES, MAX_STEPS = 256, 100_000
DIGITS = 4
"""Significant digits of sampled numbers, so that the best values are short."""
FORMS = (
    "write {choice: [a, b]}, {uniform: [low, high]}, {loguniform: [low, high]}, "
    "{int: [low, high]} (with `step` or `log: true` if wanted), or a plain value that all "
    "trials share"
)


class DomainError(ValueError):
    """An entry of the space is not valid; the message says what it may be."""


@dataclass(frozen=True)
class Domain:
    """The values that one key may take. `values`: the choices, (low, high), or the fixed value."""

    kind: str
    values: tuple[Any, ...]
    step: int = 1
    log: bool = False

    @property
    def varies(self) -> bool:
        return self.kind != "fixed"

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Values that must all be allowed: every choice, both ends of a range."""
        if self.kind == "int":
            low, high = self.values
            return (low, low + (high - low) // self.step * self.step)
        return self.values

    def words(self) -> str:
        """What the key may be: "0.002 to 0.05, logarithmic", "16 or 32", "8 in all trials"."""
        if self.kind == "fixed":
            return f"{_word(self.values[0])} in all trials"
        if self.kind == "choice":
            *others, last = map(_word, self.values)
            return f"{', '.join(others)} or {last}"
        steps = f", in steps of {self.step}" if self.step > 1 else ""
        logarithmic = ", logarithmic" if self.log or self.kind == "loguniform" else ""
        return f"{self.values[0]:g} to {self.values[1]:g}{steps}{logarithmic}"

    def value(self, sampled: Any) -> Any:
        """The value of params.yaml for a searcher's sample."""
        if self.kind == "fixed":
            return self.values[0]
        if self.kind == "choice":
            return json.loads(sampled)
        if self.kind == "int":
            return int(sampled)
        rounded = float(f"{float(sampled):.{DIGITS}g}")
        return min(max(rounded, self.values[0]), self.values[1])

    def sample_of(self, value: Any) -> Any | None:
        """The searcher's sample for a value of params.yaml; None if the value lies outside."""
        if self.kind == "choice":
            return json.dumps(value) if value in self.values else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        low, high = self.values
        if not low <= value <= high:
            return None
        if self.kind == "int":
            return value if isinstance(value, int) and (value - low) % self.step == 0 else None
        return float(value)

    def for_tune(self) -> Any:
        """The domain for Ray Tune. Choices are JSON text, since searchers take plain words only."""
        from ray import tune

        low, high = self.values[0], self.values[-1]
        if self.kind == "choice":
            return tune.choice([json.dumps(value) for value in self.values])
        if self.kind == "uniform":
            return tune.uniform(low, high)
        if self.kind == "loguniform":
            return tune.loguniform(low, high)
        if self.log:
            return tune.lograndint(low, high + 1)
        if self.step > 1:
            return tune.choice(list(range(low, high + 1, self.step)))
        return tune.randint(low, high + 1)

    def for_optuna(self) -> Any:
        """The domain as an Optuna distribution."""
        from optuna import distributions

        if self.kind == "choice":
            return distributions.CategoricalDistribution([json.dumps(v) for v in self.values])
        low, high = self.extremes
        if self.kind == "int":
            return distributions.IntDistribution(low, high, log=self.log, step=self.step)
        return distributions.FloatDistribution(low, high, log=self.kind == "loguniform")


def parse_domain(raw: Any) -> Domain:
    """Read a domain as it is written in sweep.yaml (see FORMS). Raises DomainError."""
    if not isinstance(raw, dict):
        return Domain("fixed", (raw,))
    kinds = [kind for kind in KINDS if kind in raw]
    if len(kinds) != 1:
        raise DomainError(FORMS)
    kind, bounds = kinds[0], raw[kinds[0]]
    extra = raw.keys() - {kind} - ({"step", "log"} if kind == "int" else set())
    if extra:
        raise DomainError(f"{', '.join(sorted(map(str, extra)))} does not go with {kind}: {FORMS}")
    if kind == "choice":
        if not isinstance(bounds, list) or len(bounds) < 2:
            raise DomainError("choice needs a list of at least two values")
        if len(bounds) > MAX_CHOICES:
            raise DomainError(
                f"choice lists {len(bounds):,} values: at most {MAX_CHOICES} are tried"
            )
        if len({json.dumps(value, sort_keys=True) for value in bounds}) < len(bounds):
            raise DomainError("choice names a value twice")
        return Domain("choice", tuple(bounds))
    low, high = _bounds(kind, bounds)
    if kind != "int":
        if kind == "loguniform" and low <= 0:
            raise DomainError(f"loguniform needs a lower end above 0, got {low:g}")
        return Domain(kind, (float(low), float(high)))
    step, log = raw.get("step", 1), raw.get("log", False)
    if not isinstance(step, int) or isinstance(step, bool) or step < 1 or not isinstance(log, bool):
        raise DomainError("step must be a whole number of at least 1, log true or false")
    if step > 1 and (high - low) // step >= MAX_STEPS:
        raise DomainError(f"step {step} makes more than {MAX_STEPS:,} values: give a longer step")
    if log and (step > 1 or low < 1):
        raise DomainError("log needs a lower end of at least 1 and no step")
    if low + step > high:
        raise DomainError(f"int [{low}, {high}] with step {step} holds one value only")
    return Domain("int", (low, high), step, log)


def _word(value: Any) -> str:
    """A value as YAML has it; a text stands without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _bounds(kind: str, bounds: Any) -> tuple[Any, Any]:
    numbers = int if kind == "int" else (int, float)
    if (
        not isinstance(bounds, list)
        or len(bounds) != 2
        or any(isinstance(b, bool) or not isinstance(b, numbers) for b in bounds)
        or not all(math.isfinite(b) for b in bounds)
    ):
        raise DomainError(
            f"{kind} needs two {'whole ' if kind == 'int' else ''}numbers, [low, high]"
        )
    low, high = bounds
    if low >= high:
        raise DomainError(f"{kind} needs low below high, got [{low:g}, {high:g}]")
    return low, high
