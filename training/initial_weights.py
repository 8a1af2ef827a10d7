"""Initial weights that depend on a name and a seed alone."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def drawn_by(name: str, seed: int) -> Iterator[None]:
    """Inside, torch's global generator is seeded by (name, seed); outside it is not advanced."""
    digest = hashlib.blake2b(f"{name}/{seed}".encode(), digest_size=8).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest, "little"))
        yield
