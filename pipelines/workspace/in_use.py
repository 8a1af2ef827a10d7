"""Which living processes use files of this project; nothing that they use is removed."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from foundation.file_lock import LockHeld, holding

PROC = Path("/proc")


class InUse(RuntimeError):
    """A living process uses what would be removed."""


@contextmanager
def unused(root: Path) -> Iterator[None]:
    """Context in which no run, sweep or replication of the project in `root` can begin anew.

    Raises InUse, which names the process, if one goes on, or if DVC runs a stage.
    """
    runs = root / ".runs"
    with ExitStack() as stack:
        for lock in sorted(runs.rglob("*.lock")):
            name = lock.parent.name if lock.name == "writing.lock" else lock.stem
            try:
                stack.enter_context(holding(lock))
            except LockHeld as error:
                raise InUse(
                    f"a process still uses {name} ({error}): stop it first, or wait for it"
                ) from None
        for number in _dvc_processes(root):
            raise InUse(f"DVC runs a stage here (process {number}): stop it first, or wait for it")
        yield


def check_closed(paths: list[Path]) -> None:
    """Raise InUse if a living process has one of the paths, or a file below one, open or mapped.

    Only processes whose files this user may see are looked at, and only where there is /proc.
    """
    wanted = [str(path.resolve()) for path in paths]
    for number, file in _open_files():
        for path in wanted:
            if file == path or file.startswith(path + os.sep):
                raise InUse(
                    f"process {number} ({_name(number)}) has {file} open: end it first, or wait"
                )


def processes_naming(text: str) -> list[int]:
    """Living processes whose command line holds `text`."""
    found = []
    for folder in PROC.glob("[0-9]*"):
        with suppress(OSError):
            if text.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def lives(number: int) -> bool:
    """Whether there is a process of this number; another user's counts as well."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _dvc_processes(root: Path) -> Iterator[int]:
    """Living processes that DVC's table of locks names as writers."""
    try:
        table = json.loads((root / ".dvc" / "tmp" / "rwlock").read_text() or "{}")
        writers = [entry.get("write") or {} for entry in table.values()]
    except (OSError, ValueError, AttributeError):
        return
    for writer in writers:
        number = writer.get("pid")
        if isinstance(number, int) and number != os.getpid() and lives(number):
            yield number


def _open_files() -> Iterator[tuple[int, str]]:
    for folder in PROC.glob("[0-9]*"):
        number = int(folder.name)
        if number == os.getpid():
            continue
        with suppress(OSError):
            for link in (folder / "fd").iterdir():
                with suppress(OSError):
                    yield number, os.readlink(link)
        with suppress(OSError):
            for line in (folder / "maps").read_text(errors="surrogateescape").splitlines():
                mapped = line.split(maxsplit=5)
                if len(mapped) == 6 and mapped[5].startswith("/"):
                    yield number, mapped[5]


def _name(number: int) -> str:
    try:
        return (PROC / str(number) / "comm").read_text().strip()
    except OSError:
        return "ended"
