"""Nearest neighbours in a set and in a bank, beside scikit-learn's brute force and faiss."""

from collections.abc import Iterator

import torch
from sklearn.neighbors import NearestNeighbors

from benchmarks.peers.optional import Way, beside, peer
from benchmarks.side_by_side import Row, compared, side_by_side
from models.neighbours import nearest, nearest_in

FEATURES, K, AIM = 256, 5, 1.0
SIZES = {256: 101, 1024: 41, 4096: 11, 16_384: 5}
"""Number of points -> rounds."""
QUERIES, BANKS, BANK_ROUNDS = 1024, (50_000, 60_000), 7
PEER, FAISS = "scikit-learn brute", "faiss-cpu"


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
    for size in BANKS:
        yield from in_bank(size, generator)


def in_bank(size: int, generator: torch.Generator) -> Iterator[Row]:
    """A row beside each peer for queries into a bank; each has its bank ready beforehand."""
    bank = torch.randn(size, FEATURES, generator=generator)
    queries = torch.randn(QUERIES, FEATURES, generator=generator)
    ours = nearest_in(queries, bank, K)

    def scikit_learn() -> dict[str, Way]:
        found = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(bank.numpy())
        return {"": lambda: found.kneighbors(queries.numpy(), return_distance=False)}

    def faiss() -> dict[str, Way]:
        module = peer("faiss")
        module.omp_set_num_threads(torch.get_num_threads())
        index = module.IndexFlatL2(FEATURES)
        index.add(bank.numpy())
        return {"": lambda: index.search(queries.numpy(), K)[1]}

    peers = {PEER: scikit_learn, FAISS: faiss}

    def note(name: str) -> str:
        theirs = torch.from_numpy(peers[name]()[""]())
        return f"{float((ours == theirs).double().mean()):.2%} of the indices equal"

    what = f"{QUERIES:,} queries in a bank of {size:,}"
    yield from beside(what, lambda: nearest_in(queries, bank, K), peers, BANK_ROUNDS, AIM, note)


def _row(what, ours, theirs, rounds) -> Row:
    same = float((ours() == torch.from_numpy(theirs())).double().mean())
    taken = side_by_side({"ours": ours, "theirs": theirs}, rounds)
    return compared(
        what, taken["ours"], PEER, taken["theirs"], AIM, f"{same:.2%} of the indices equal"
    )
