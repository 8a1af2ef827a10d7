"""Names of files that are still being written, and the removal of those that nobody writes now.

A name tells on which machine which process writes the file. A process that was killed leaves its
file behind; `sweep` removes it once no living process can be its writer.
"""

import hashlib
import os
import re
import time
import uuid
from functools import cache
from pathlib import Path

FOREIGN_AGE_S = 24 * 3600.0
"""After so many seconds without a change, a file that another machine wrote counts as left."""
NAME = re.compile(r"\.(?P<name>.+)\.(?:(?P<machine>[0-9a-f]{12})-)?(?P<pid>\d+)-[0-9a-f]{8}\.tmp")


def unfinished_name(path: Path) -> Path:
    """A new hidden name beside `path`, under which this process may write it."""
    unique = uuid.uuid4().hex[:8]
    return path.with_name(f".{path.name}.{machine()}-{os.getpid()}-{unique}.tmp")


def sweep(folder: str | Path) -> int:
    """Remove files that killed writers left in a folder and those below; returns their bytes.

    A file of this machine is removed if its process has ended. A file that another machine wrote,
    or whose machine is not told, is removed if it has not changed for FOREIGN_AGE_S. Other files
    stay, and so does what cannot be removed.
    """
    freed = 0
    for path in Path(folder).rglob(".*.tmp"):
        found = NAME.fullmatch(path.name)
        if found is None or path.is_symlink():
            continue
        try:
            facts = path.stat()
            here = found["machine"] == machine()
            old = time.time() - facts.st_mtime > FOREIGN_AGE_S
            if _ended(int(found["pid"])) if here else old:
                path.unlink()
                freed += facts.st_size
        except OSError:  # it has got its own name meanwhile, or may not be removed
            continue
    return freed


@cache
def machine() -> str:
    """Stands for this start of this machine and its numbering of processes.

    A container has a numbering of its own, so a process number means nothing outside of it.
    """
    parts = [os.uname().nodename if hasattr(os, "uname") else ""]
    for read in (
        lambda: Path("/proc/sys/kernel/random/boot_id").read_text(),
        lambda: os.readlink("/proc/self/ns/pid"),
    ):
        try:
            parts.append(read())
        except OSError:  # not Linux
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it lives, and is another user's
        return False
    return False
