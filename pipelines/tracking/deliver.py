"""Writes to the run store what earlier processes could not write to it."""

import os
import socket
import time
from pathlib import Path

from foundation.counted import counted
from pipelines.tracking.live_run import one_line, say
from pipelines.tracking.open_runs import open_child, open_parent
from pipelines.tracking.provenance import is_dead
from pipelines.tracking.run_store import RunStore
from pipelines.tracking.spool import WAITING, Waiting, read_waiting, store_key, write_waiting

QUIET_S = 600.0
"""A file to which another machine has added nothing for so long is delivered."""


def deliver(store: RunStore, root: Path) -> None:
    """Write what waits under `root` for this store, and remove it there.

    What a living process keeps is left to it. What the store does not take goes on waiting; a line
    says so.
    """
    key = store_key(store.uri)
    for path in sorted((Path(root) / ".runs" / WAITING).glob("*.jsonl"), key=_age):
        try:
            with store.lock:
                waiting = read_waiting(path)
                if waiting is not None and (
                    waiting.header["store"] != key or _in_use(waiting, time.time() - _age(path))
                ):
                    continue
                if waiting is not None:
                    write_waiting(store, _run_of(store, waiting), waiting)
                path.unlink(missing_ok=True)
        except FileNotFoundError:  # another process has delivered it just now
            continue
        except Exception as error:
            say(f"MLflow: what waits in {path} was not delivered: {one_line(error)}")
            continue
        if waiting is not None:
            count = counted(len(waiting.metrics), "number")
            say(f"MLflow: wrote {count} of {waiting.header['stage']} that had waited")


def _in_use(waiting: Waiting, seconds: float) -> bool:
    """Whether another living process may still add to what waits.

    seconds: since something was added. Of a process on another machine nothing else is known: one
    that lives adds every few seconds while the store fails.
    """
    process = waiting.header["child_tags"]
    if process.get("process.host") != socket.gethostname():
        return seconds < QUIET_S
    return process.get("process.pid") != str(os.getpid()) and not is_dead(process)


def _run_of(store: RunStore, waiting: Waiting) -> str:
    """The run for which it waits; made anew if the store could not be opened then, or was lost."""
    header = waiting.header
    known = header.get("run_id")
    if known and known in {
        run.info.run_id for run in store.search({"pipeline": header["pipeline"]})
    }:
        return str(known)
    parent, was_finished = open_parent(store, header)
    if was_finished:
        store.client.set_terminated(parent.run_id, "FINISHED")
    if header["level"] == "parent":
        return parent.run_id
    run = open_child(store, parent, header)
    if not was_finished and waiting.status not in (None, "FINISHED"):
        store.client.set_terminated(parent.run_id, waiting.status)
    return run.run_id


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
