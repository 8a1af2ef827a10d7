"""What could not be written to the run store waits on disk until a later start delivers it.

Each process has a file of its own for each run: a JSON line that says whose numbers these are, and
a line for each batch. A line that a kill cut off is skipped when the file is read.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.tracking.run_store import RunStore

WAITING = "mlflow-waiting"
"""Folder under .runs."""

Point = tuple[str, float, int, int]
"""Key, value, step, time in ms."""


@dataclass
class Waiting:
    """What a file of the spool holds."""

    header: dict[str, Any]
    metrics: list[Point] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    status: str | None = None
    """The run's final status, if it has ended."""


class Spool:
    """The file in which numbers and tags of one run wait; it is made when something waits.

    header: whose they are: `store` (store_key), `stage`, `level`, the `run_id` if the run is there
    already, and what `deliver` needs to make it.
    """

    def __init__(self, root: Path, header: Mapping[str, Any]):
        self._header = dict(header)
        self.path = Path(root) / ".runs" / WAITING / f"{uuid.uuid4().hex}.jsonl"

    def add(
        self,
        metrics: Sequence[Point] = (),
        tags: Mapping[str, Any] | None = None,
        status: str | None = None,
    ) -> bool:
        """Append what could not be written; returns whether it is on the disk."""
        entry = {"metrics": list(metrics), "tags": dict(tags or {}), "status": status}
        begun = self.path.exists()
        lines = [entry] if begun else [self._header, entry]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as stream:  # each line begins anew: a full disk cuts lines off
                stream.write("".join("\n" + json.dumps(line, default=str) for line in lines))
        except OSError:
            if not begun:  # no file without its whole header
                with suppress(OSError):
                    self.clear()
            return False
        return True

    def read(self) -> Waiting | None:
        """What waits here; None if nothing does."""
        return read_waiting(self.path) if self.path.exists() else None

    def clear(self) -> None:
        """Remove the file, whose content has been delivered."""
        self.path.unlink(missing_ok=True)


def read_waiting(path: Path) -> Waiting | None:
    """The content of a file of the spool; None if not even its header can be read."""
    lines = []
    for text in path.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # cut off by a kill or a full disk
            continue
        if isinstance(line, dict):
            lines.append(line)
    if not lines or "store" not in lines[0]:
        return None
    waiting = Waiting(lines[0])
    for line in lines[1:]:
        waiting.metrics += [(k, float(v), int(s), int(t)) for k, v, s, t in line.get("metrics", [])]
        waiting.tags |= line.get("tags", {})
        waiting.status = line.get("status") or waiting.status
    return waiting


def write_waiting(store: "RunStore", run_id: str, waiting: Waiting) -> None:
    """Write to a run what waits for it; values at steps that it has already are left out."""
    last: dict[str, int] = {}
    points = []
    for point in waiting.metrics:
        key, _, step, _ = point
        if key not in last:
            last[key] = store.last_step(run_id, key)
        if step == 0 or step > last[key]:
            points.append(point)
    for start in range(0, len(points), 900):  # MLflow takes 1000 at once
        store.write(run_id, metrics=points[start : start + 900])
    if waiting.tags:
        store.write(run_id, tags=waiting.tags)
    if waiting.status is not None:
        store.client.set_terminated(run_id, waiting.status)


def store_key(uri: str) -> str:
    """A name of a run store for the header; the address itself may hold a password."""
    return hashlib.sha256(uri.encode()).hexdigest()[:16]
