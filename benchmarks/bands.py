"""One image over two one-thread processes, beside what two unconnected ones reach here.

The machine's own ceiling is measured in the same rounds: two processes that evaluate an image each,
at the same time. Half their time is what two workers could need for one image at best.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.side_by_side import Row, compared

ROUNDS = 9
MINUTES = 15


def rows() -> Iterator[Row]:
    """Needs an otherwise idle machine with two processors."""
    taken = measured()
    ceiling = [seconds / 2 for seconds in taken["apart"]]
    peer = "two unconnected"
    yield compared("exact", taken["exact"], peer, ceiling, 1 / 0.93)
    yield compared("displaced", taken["displaced"], peer, ceiling, 1 / 0.97)
    note = "link of 2 ms and 100 MB/s"
    yield compared("exact, slow link", taken["exact, link"], peer, ceiling, None, note)
    yield compared("displaced, slow link", taken["displaced, link"], peer, ceiling, 1 / 0.95, note)
    for mode in ("exact", "displaced"):
        link = f"{mode}, link"
        predicted, found = taken[f"{link}, predicted"], taken[link]
        # Of each pair the larger by the smaller: a prediction may err on either side.
        pairs = [sorted(pair, reverse=True) for pair in zip(predicted, found, strict=True)]
        off = compared("", [a for a, _ in pairs], "", [b for _, b in pairs], 1.15)
        yield replace(
            off,
            what=f"{mode}, slow link, predicted",
            ours=statistics.median(predicted),
            peer="measured",
            peers=statistics.median(found),
            note="the ratio is the larger by the smaller",
        )
    for mode in ("exact", "displaced"):
        yield compared(f"{mode}, two workers", taken[mode], "one worker", taken["alone"])
        yield compared(f"{mode}, two workers", taken[mode], "two threads", taken["two threads"])


def measured() -> dict[str, list[float]]:
    """Seconds of an evaluation, by way and round."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "0"}
    environment |= {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "seconds.json"
        command = [sys.executable, "-c", "from benchmarks.band_workers.worker import work; work()"]
        workers = [
            subprocess.Popen(
                [*command, str(rank), f"{folder}/meeting", str(out), str(ROUNDS)], env=environment
            )
            for rank in range(2)
        ]
        try:
            for worker in workers:
                if worker.wait(MINUTES * 60):
                    raise RuntimeError("a worker of the benchmark failed; it says why above")
        finally:
            for worker in workers:
                worker.kill()
        return json.loads(out.read_text())["seconds"]
