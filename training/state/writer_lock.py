"""One writer in the folder of a run: the process of rank 0 holds a lock while it trains."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from foundation.file_lock import LockHeld, holding

WRITER_LOCK = "writing.lock"
"""File in a run's folder that is locked by the process that writes checkpoints there."""
WAIT_S = 120.0
"""Seconds to wait for another writer; a file server takes up to 90 to give up a dead node."""


@contextmanager
def only_writer(
    folder: Path, tell: Callable[[str], None], wait_s: float = WAIT_S
) -> Iterator[None]:
    """Context in which no other process writes into a run's folder.

    A worker outlives its killed driver by seconds, and holds this lock until it ends. Raises
    LockHeld, which names the process, if one holds it for longer than `wait_s`.
    """

    def waiting(holder: str) -> None:
        tell(f"waiting for {holder}, which still trains run {folder.name}")

    folder = Path(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(holding(folder / WRITER_LOCK, wait_s, waiting))
        except LockHeld as error:
            raise LockHeld(
                f"{error} is training run {folder.name} now: wait for it, or stop it first"
            ) from None
        yield
