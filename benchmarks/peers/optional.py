"""Peers that may not be installed, each in the fastest of its own ways."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from benchmarks.side_by_side import Row, compared, nothing, side_by_side

Way = Callable[[], object]
OURS = "ours"
MEND = "pip install '.[bench]'"


class PeerMissing(RuntimeError):
    """A peer is not installed; the message is one line that says the mend."""


def peer(module: str) -> Any:
    """A peer's module. Raises PeerMissing where it cannot be imported."""
    try:
        return import_module(module)
    except ImportError as error:
        if error.name in (None, module):
            raise PeerMissing(f"{module} is not installed: {MEND}") from None
        raise PeerMissing(f"{module} cannot be imported ({error}): {MEND}") from None


def beside(
    what: str,
    ours: Way,
    peers: Mapping[str, Callable[[], Mapping[str, Way]]],
    rounds: int,
    aim: float | None = None,
    note: Callable[[str], str] = lambda peer: "",
    finished: Way = nothing,
) -> Iterator[Row]:
    """A row of our way beside each peer, all timed in turn.

    Of a peer that cannot be imported the row has our seconds alone, and says what is missing.

    Args:
        peers: {name: function that makes the peer's ways}, of which the fastest is compared. It may
            raise PeerMissing.
        aim: largest ratio wanted beside each peer.
        note: of a peer's row.
        finished: as for `side_by_side`.
    """
    ways, missing, chosen = {OURS: ours}, {}, {}
    for name, make in peers.items():
        try:
            found = make()
        except PeerMissing as error:
            missing[name] = str(error)
            continue
        chosen[name] = fastest(found, finished) if len(found) > 1 else next(iter(found))
        ways[name] = found[chosen[name]]
    taken = side_by_side(ways, rounds, finished)
    for name in peers:
        if name in missing:
            yield Row(what, statistics.median(taken[OURS]), name, note=missing[name])
            continue
        notes = [part for part in (chosen[name], note(name)) if part]
        yield compared(what, taken[OURS], name, taken[name], aim, "; ".join(notes))


def fastest(ways: Mapping[str, Way], finished: Way = nothing, tries: int = 2) -> str:
    """Name of the way with the least seconds, each called once before and then so many times."""
    least = {}
    for name, way in ways.items():
        way()
        finished()
        seconds = []
        for _ in range(tries):
            start = time.perf_counter()
            way()
            finished()
            seconds.append(time.perf_counter() - start)
        least[name] = min(seconds)
    return min(least, key=least.__getitem__)
