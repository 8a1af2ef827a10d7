"""Says in one line that a game moved nothing, so that nobody reads its run as its result."""

from collections.abc import Mapping
from typing import Any


def unmoved_game(train: Mapping[str, Any]) -> str | None:
    """Why a run's game moved nothing; None if it moved something, or there was no game.

    train: the content of train.json.
    """
    gate = train.get("gate")
    if not gate or train.get("structure_kind", "none") == "none":
        return None
    return unmoved(train.get("structure_plays", 0), gate.get("open_fraction"), reasons(gate))


def unmoved(plays: int, open_fraction: float | None, reasons: str) -> str | None:
    """The same from the numbers. open_fraction: share of plays with the gate open; None: unknown.

    reasons: why it was shut, as `reasons` words it.
    """
    if not plays:
        return (
            "the game never played: the training ended before its first play "
            "(structure.start_kimg), so the run is one without a game"
        )
    if open_fraction is None or open_fraction > 0:
        return None
    why = f" ({reasons})" if reasons else ""
    times = f"{plays:,} play{'s' if plays > 1 else ''}"
    return (
        f"the gate never opened in {times}{why}, so the game moved nothing, and "
        "the run is one without a game"
    )


def reasons(gate: Mapping[str, Any]) -> str:
    """ "too few plays x5; discriminator at chance x2", the commonest first; "" if never shut.

    gate: of train.json.
    """
    counts = (gate.get("shut_reasons") or {}).items()
    shut = sorted(counts, key=lambda entry: (-entry[1], entry[0]))
    return "; ".join(f"{reason} x{count}" for reason, count in shut if count)
