"""The MLflow run that a stage writes to: it buffers numbers, drops repeated ones, never raises.

Its steps count images (`nimg`), since MLflow takes integers only. Monitor also logs the metric
`kimg`, to be used as the x axis.
"""

import math
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.tracking.run_note import NOTE, PICTURES, results_note, with_results
from pipelines.tracking.run_pictures import captioned, thumbnail
from pipelines.tracking.spool import write_waiting

if TYPE_CHECKING:
    from pipelines.tracking.run_store import RunStore
    from pipelines.tracking.spool import Spool

FLUSH_SECONDS = 5.0
FLUSH_ENTRIES = 400
KEEP_ENTRIES = 20_000  # so many numbers are kept if neither the run store nor the disk takes them
RETRY_FACTOR = 20.0
"""After a write that failed nothing is tried for so many times as long as it took, so that a server
that does not answer slows a training down by 5% at most."""


class StageRun:
    """An MLflow run to write to.

    Numbers and tags that the store does not take wait in `spool`, on disk; so do those of a run
    whose store could not be opened. With neither, every method does nothing.
    """

    def __init__(
        self,
        store: "RunStore | None" = None,
        run_id: str = "",
        resumed: bool = False,
        parent: "StageRun | None" = None,
        spool: "Spool | None" = None,
    ):
        self.spool = spool
        self.run_id = run_id
        self.parent = parent
        self.resumed = resumed
        self.complete = False
        """Whether the results are there already, so that no later stage has to end this run."""
        self._store = store
        self._buffer: list[tuple[str, float, int, int]] = []
        self._flushed_at = time.monotonic()
        self._last: dict[str, int] = {}
        self._images: set[tuple[str, int]] | None = None
        self._warned = False
        self._rest_until = 0.0

    @property
    def page(self) -> str:
        """Address of the run's page within MLflow's; "" without a run store."""
        experiment = "" if self._store is None else self._store.experiment_id
        return f"#/experiments/{experiment}/runs/{self.run_id}" if experiment else ""

    @property
    def last_step(self) -> int:
        """Largest step (images) that this run already holds; -1 for a new run."""
        if self._store is not None and self.resumed:
            with self._guarded():
                for key in self._store.latest_metrics(self.run_id):
                    if not key.startswith("system/"):
                        self._last_of(key)
        return max(self._last.values(), default=-1)

    def log_metrics(self, metrics: Mapping[str, float | None], nimg: int = 0) -> None:
        """Buffer numbers at step `nimg` (images shown so far, not kimg).

        Non-finite values and None are left out. So are values at a step above 0 that this run
        already has, since after a crash the work since the last checkpoint is done again.
        """
        if self._store is None and self.spool is None:
            return
        now = int(time.time() * 1000)
        for name, value in metrics.items():
            if value is None or not math.isfinite(value):
                continue
            key = re.sub(r"[^\w\-. /]", "-", name)
            if nimg > 0 and nimg <= self._last_of(key):
                continue
            self._last[key] = max(int(nimg), self._last.get(key, -1))
            self._buffer.append((key, float(value), int(nimg), now))
        late = time.monotonic() - self._flushed_at > FLUSH_SECONDS
        if len(self._buffer) >= FLUSH_ENTRIES or late:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered, in batches; what the store does not take goes to the spool."""
        if not self._buffer:
            return
        self._flushed_at = time.monotonic()
        if self._store is not None and not self._resting:
            with self._guarded():
                self._catch_up()
                while self._buffer:
                    batch = self._buffer[:900]  # MLflow takes 1000 at once
                    self._store.write(self.run_id, metrics=batch)
                    del self._buffer[: len(batch)]
        if self._buffer and self.spool is not None and self.spool.add(metrics=self._buffer):
            self._buffer.clear()
        del self._buffer[:-KEEP_ENTRIES]

    @property
    def _resting(self) -> bool:
        """Whether the store failed so lately that numbers and tags are not tried again."""
        return time.monotonic() < self._rest_until

    def _catch_up(self) -> None:
        """Write what has waited in the spool since the store failed."""
        waiting = self.spool.read() if self.spool is not None else None
        if self._store is not None and self.spool is not None and waiting is not None:
            write_waiting(self._store, self.run_id, waiting)
            self.spool.clear()

    def log_image(self, image: Any, key: str, nimg: int = 0, opening: str = "") -> None:
        """Put a uint8 [H,W,C] array or a PIL image into the image grid, with a slider over nimg.

        opening: MLflow's slider opens at step 0. With this text the picture is shown there too, in
        place of an earlier one, with the text under it.
        """
        if self._store is None:
            return
        key = re.sub(r"[^a-zA-Z0-9_\-./ ]", "-", key)
        with self._guarded():
            if self._images is None:
                self._images = set(self._store.image_files(self.run_id)) if self.resumed else set()
            if nimg == 0 or (key, int(nimg)) not in self._images:
                # Of a parent, charts come first: above its pictures MLflow writes all its params.
                path = key if self.parent is None else PICTURES + key
                self._store.client.log_image(self.run_id, image, key=path, step=int(nimg))
                self._images.add((key, int(nimg)))
                if opening and nimg != 0:  # of several pictures at a step, MLflow shows the newest
                    shown = captioned(image, opening)
                    self._store.client.log_image(self.run_id, shown, key=path, step=0)
                    self._images.add((key, 0))

    def log_artifact(self, path: str | Path, folder: str | None = None) -> None:
        """Keep a copy of a file with the run, at the top or in an artifact folder."""
        if self._store is not None:
            with self._guarded():
                self._store.client.log_artifact(self.run_id, str(path), folder)

    def describe(
        self,
        headline: str,
        pictures: Mapping[Path, str] | None = None,
        more: str = "",
        links: Mapping[str, str] | None = None,
    ) -> None:
        """Put numbers and pictures into the description, with which MLflow opens the run's page.

        headline, more: markdown before and after the pictures. pictures: {PNG: what it shows}.
        links: {name: address}; None: to the charts and pictures of this run.
        """
        if self._store is not None:
            with self._guarded():
                client, shown = self._store.client, {}
                for file, what in (pictures or {}).items():
                    path = f"overview/{file.name}"
                    client.log_image(self.run_id, thumbnail(file), artifact_file=path)
                    shown[path] = what
                note = client.get_run(self.run_id).data.tags.get(NOTE)
                links = links or {"charts and larger pictures": f"{self.page}/model-metrics"}
                results = results_note(self.run_id, headline, shown, more, links)
                self.set_tags({NOTE: with_results(note, results)})

    def log_dict(self, data: Mapping[str, Any], name: str) -> None:
        """Keep a mapping as the JSON (or YAML) file `name`."""
        if self._store is not None:
            with self._guarded():
                self._store.client.log_dict(self.run_id, dict(data), name)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; they can be searched, and the latest value holds."""
        if not tags:
            return
        if self._store is not None and not self._resting:
            with self._guarded() as attempt:
                self._store.write(self.run_id, tags=tags)
            if not attempt.failed:
                return
        if self.spool is not None:
            self.spool.add(tags=tags)

    def log_dataset(self, manifest: Mapping[str, Any], context: str = "training") -> None:
        """Show the data set (dataset.json) among the run's inputs, and keep the manifest."""
        if self._store is not None:
            with self._guarded():
                self._store.write_dataset(self.run_id, manifest, context)
            self.log_dict(manifest, "dataset.json")

    def mark_restored(self) -> None:
        """Tag this run with the run that made its result, which was published again here."""
        if self._store is not None:
            with self._guarded():
                self.set_tags(self._store.maker_tags_of(self.run_id))

    def add_restored(self, stage: str, fingerprint: str, item: str | None = None) -> None:
        """Add to the parent a child for a stage that DVC did not run; it names the run that did."""
        if self._store is not None and self.parent is not None:
            with self._guarded():
                self._store.add_restored(self.parent.run_id, stage, item, fingerprint)

    def restore_results(self, outcome: str) -> None:
        """Show the results of a finished parent run with the same outcome, if there is one."""
        if self._store is not None:
            with self._guarded():
                self.complete = self._store.restore_results(self.run_id, outcome)

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Write what is buffered and set the final status; `error` becomes a tag."""
        self._rest_until = 0.0
        self.flush()
        if error is not None:
            self.set_tags({"error": f"{type(error).__name__}: {error}"})
        if self._store is not None and not self._resting:
            with self._guarded() as attempt:
                self._catch_up()
                self._store.client.set_terminated(self.run_id, status)
            if not attempt.failed:
                return
        if self.spool is not None:
            self.spool.add(status=status)

    def _last_of(self, key: str) -> int:
        if key not in self._last and self.resumed and self._store is not None:
            with self._guarded():
                self._last[key] = self._store.last_step(self.run_id, key)
        return self._last.get(key, -1)

    @contextmanager
    def _guarded(self) -> Iterator["Attempt"]:
        """Turns an error of the run store into one warning, so that it does not end the stage."""
        attempt, begun = Attempt(), time.monotonic()
        try:
            yield attempt
        except Exception as error:
            attempt.failed = True
            self._rest_until = time.monotonic() + RETRY_FACTOR * (time.monotonic() - begun)
            if not self._warned:
                wait = "" if self.spool is None else "; numbers and tags wait in .runs till it can"
                say(
                    f"MLflow could not be written; the run goes on without{wait}: {one_line(error)}"
                )
            self._warned = True


@dataclass
class Attempt:
    """Whether a write to the run store failed."""

    failed: bool = False


def say(text: str) -> None:
    """Print a line to stderr, for the user."""
    print(text, file=sys.stderr, flush=True)


def one_line(error: BaseException, limit: int = 200) -> str:
    """The class of an error and the first line of its message."""
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}"[:limit]
