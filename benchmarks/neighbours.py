"""Nearest neighbours in a set and in a bank of 60,000, beside scikit-learn's brute force."""

from collections.abc import Iterator

import torch
from sklearn.neighbors import NearestNeighbors

from benchmarks.side_by_side import Row, compared, side_by_side
from models.neighbours import nearest, nearest_in

FEATURES, K, AIM = 256, 5, 1.0
SIZES = {256: 101, 1024: 41, 4096: 11, 16_384: 5}
"""Number of points -> rounds."""
QUERIES, BANK, BANK_ROUNDS = 1024, 60_000, 7
PEER = "scikit-learn brute"


def rows() -> Iterator[Row]:
    """One row for each size; both ways must find the same neighbours."""
    generator = torch.Generator().manual_seed(0)
    for size, rounds in SIZES.items():
        points = torch.randn(size, FEATURES, generator=generator)
        array = points.numpy()

        def theirs(array=array):
            found = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(array)
            return found.kneighbors(return_distance=False)  # without the point itself

        def ours(points=points):
            return nearest(points, K)

        yield _row(f"{size:,} points of {FEATURES}", ours, theirs, rounds)
    bank = torch.randn(BANK, FEATURES, generator=generator)
    queries = torch.randn(QUERIES, FEATURES, generator=generator)

    def in_bank():
        found = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(bank.numpy())
        return found.kneighbors(queries.numpy(), return_distance=False)

    what = f"{QUERIES:,} queries in a bank of {BANK:,}"
    yield _row(what, lambda: nearest_in(queries, bank, K), in_bank, BANK_ROUNDS)


def _row(what, ours, theirs, rounds) -> Row:
    same = float((ours() == torch.from_numpy(theirs())).double().mean())
    taken = side_by_side({"ours": ours, "theirs": theirs}, rounds)
    return compared(
        what, taken["ours"], PEER, taken["theirs"], AIM, f"{same:.2%} of the indices equal"
    )
