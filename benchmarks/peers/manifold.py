"""Precision, recall, density and coverage beside the package prdc, in time and in memory.

Each measurement is a process of its own, by turns, so that one's memory is not the other's. Ours
gives four further metrics with the same call.
"""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.peers.child import Taken, in_a_child
from benchmarks.peers.optional import PeerMissing, peer
from benchmarks.side_by_side import Row, compared

IMAGES, FEATURES, K = 10_000, 1280, 5
TIME_AIM, MEMORY_AIM, ROUNDS = 0.5, 0.2, 3
METRICS = ("precision", "recall", "density", "coverage")
HERE = "benchmarks.peers.manifold"


def rows() -> Iterator[Row]:
    """One row of seconds and one of MB, with the largest difference of a metric."""
    taken: dict[str, list[Taken]] = {"ours": [], "theirs": []}
    what = f"{IMAGES:,} x {FEATURES:,} features a side"
    for number in range(ROUNDS):
        for name in list(taken)[:: 1 if number % 2 else -1]:
            try:
                taken[name].append(in_a_child(f"{HERE}:{name}", IMAGES, FEATURES, K))
            except PeerMissing as error:
                alone = in_a_child(f"{HERE}:ours", IMAGES, FEATURES, K)
                yield Row(what, alone.seconds, "prdc", note=str(error))
                yield Row(f"{what}, memory", alone.peak_mb, "prdc", note=str(error), unit="MB")
                return
    pairs = zip(taken["ours"][0].result, taken["theirs"][0].result, strict=True)
    note = f"metrics differ by {max(abs(a - b) for a, b in pairs):.0e}"
    seconds, memory = (
        [[getattr(one, field) for one in found] for found in taken.values()]
        for field in ("seconds", "peak_mb")
    )
    yield compared(what, seconds[0], "prdc", seconds[1], TIME_AIM, note)
    yield compared(f"{what}, memory", memory[0], "prdc", memory[1], MEMORY_AIM, unit="MB")


def ours(images: int, features: int, k: int) -> Callable[[], list[float]]:
    """Our metrics of two made-up sets."""
    from evaluation.manifold import structure_metrics

    real, generated = both_sides(images, features)
    structure_metrics(real[:50], generated[:50], k)  # imports what it needs

    def work() -> list[float]:
        found = structure_metrics(real, generated, k)
        return [found[name] for name in METRICS]

    return work


def theirs(images: int, features: int, k: int) -> Callable[[], list[float]]:
    """Those of prdc."""
    compute = peer("prdc").compute_prdc
    real, generated = both_sides(images, features)
    compute(real[:50], generated[:50], k)

    def work() -> list[float]:
        found = compute(real, generated, k)
        return [float(found[name]) for name in METRICS]

    return work


def both_sides(images: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets float32 [images, features] of few dimensions, as features of images are."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(16, features))
    real, generated = (
        rng.normal(size=(images, 16)) * scale @ mixing + 0.1 * rng.normal(size=(images, features))
        for scale in (1.0, 0.9)
    )
    return real.astype(np.float32), generated.astype(np.float32)
