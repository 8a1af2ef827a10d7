"""Which living processes use files of this project; nothing that they use is removed."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from foundation.file_lock import LockHeld, holding
from pipelines.workspace import use_lock
from pipelines.workspace.use_lock import alone

PROC = Path("/proc")


class InUse(RuntimeError):
    """A living process uses what would be removed."""


@contextmanager
def unused(root: Path) -> Iterator[None]:
    """Context in which no command, sweep or stage of the project in `root` can begin anew.

    Raises InUse, which names the process, if one goes on, or if DVC works here or in a copy of the
    project that it made for an experiment.
    """
    runs = root / ".runs"
    with ExitStack() as stack:
        # First, so that nothing begins between one check and the next.
        free = stack.enter_context(alone(runs / use_lock.NAME))
        for lock in sorted(runs.rglob("*.lock")):
            if lock == runs / use_lock.NAME:
                continue
            name = lock.parent.name if lock.name == "writing.lock" else lock.stem
            try:
                stack.enter_context(holding(lock))
            except LockHeld as error:
                raise InUse(
                    f"a process still uses {name} ({error}): stop it first, or wait for it"
                ) from None
            except OSError as error:
                raise InUse(f"whether a process uses {name} cannot be told: {error}") from None
        for path in _files_of_dvc(root, "rwlock"):
            _check_table(path)
        # DVC holds this while it works and runs no stage; while we hold it, it begins nothing.
        for path in _files_of_dvc(root, "lock"):
            if not stack.enter_context(alone(path)):
                raise InUse(f"DVC works here ({path} is locked): stop it first, or wait for it")
        for path in _files_of_dvc(root, "rwlock"):  # a stage may have begun before we held it
            _check_table(path)
        if not free:
            raise InUse(
                f"a command of this project runs{_users(runs / use_lock.NAME)}: stop it first, or "
                "wait for it"
            )
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


def _files_of_dvc(root: Path, name: str) -> list[Path]:
    """DVC's files of that name: of the project, and of the copies in which it runs experiments."""
    folders = os.walk(root / ".dvc" / "tmp")
    return sorted(
        Path(folder, name)
        for folder, _, files in folders
        if name in files and Path(folder).name == "tmp" and Path(folder).parent.name == ".dvc"
    )


def _check_table(path: Path) -> None:
    """Raise InUse if a living process stands in DVC's table of who reads and writes what.

    The table is {"write": {file: process}, "read": {file: [process, ...]}}.
    """
    try:
        table = json.loads(path.read_text())
        writers = list(table.get("write", {}).values())
        readers = [process for found in table.get("read", {}).values() for process in found]
        numbers = {int(process["pid"]) for process in [*writers, *readers]}
    except FileNotFoundError:  # the experiment has ended just now
        return
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        raise InUse(
            f"DVC seems to be writing {path}, which cannot be read: wait for it; if no DVC runs "
            "here, remove that file"
        ) from None
    for number in sorted(numbers - {os.getpid()}):
        if lives(number):
            raise InUse(
                f"DVC runs a stage here (process {number}, by {path}): stop it first, or wait for "
                "it; if that process is none of DVC's, remove that file"
            )


def _users(lock: Path) -> str:
    """ " (process 17, python)" for those that have the lock file open, as far as can be seen."""
    numbers = {number for number, file in _open_files() if file == str(lock.resolve())}
    found = [f"process {number}, {_name(number)}" for number in sorted(numbers)]
    return f" ({'; '.join(found)})" if found else ""


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
                    yield number, mapped[5].replace("\\012", "\n")


def _name(number: int) -> str:
    try:
        return (PROC / str(number) / "comm").read_text().strip()
    except OSError:
        return "ended"
