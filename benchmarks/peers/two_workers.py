"""Two Ray workers of one thread each beside one, at the same batch for each worker.

Needs an otherwise idle machine with two processors. Seconds are those of an image between two
points of the curves, so Ray's start is not among them (benchmarks/peers/fixed_costs.py).
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.peers.networks import BATCH, MODEL
from benchmarks.peers.our_training import made_up_images, settings_of
from benchmarks.side_by_side import Row, compared
from pipelines.ray_jobs.training import run_training
from pipelines.settings.cluster import ClusterConfig
from training.events import Event, Logged

THROUGHPUT, ROUNDS = 1.85, 3
STEPS, LOG_EVERY = 24, 4


def rows() -> Iterator[Row]:
    """One row: seconds of an image with two workers by those with one."""
    taken: dict[int, list[float]] = {1: [], 2: []}
    with TemporaryDirectory() as name:
        made_up_images(Path(name) / "dataset")
        for number in range(ROUNDS):
            for workers in list(taken)[:: 1 if number % 2 else -1]:
                run = Path(name) / f"run-{number}-{workers}"
                taken[workers].append(image_seconds(workers, Path(name) / "dataset", run))
    what = f"an image, batch {BATCH} a worker"
    row = compared(what, taken[2], "one worker", taken[1], 1 / THROUGHPUT)
    assert row.ratio
    yield replace(row, note=f"{1 / row.ratio:.2f} times the throughput, aim {THROUGHPUT}")


def image_seconds(workers: int, dataset: Path, run: Path) -> float:
    """Seconds of one image of the global batch, the median between points of the curves.

    The first stretch is not counted, nor is the last, after which everything is saved.
    """
    batch = workers * BATCH
    settings = settings_of(MODEL, batch, STEPS, log_every=LOG_EVERY)
    speeds: list[float] = []

    def report(event: Event) -> None:
        if isinstance(event, Logged):
            speeds.append(event.img_per_s)

    cluster = ClusterConfig(num_workers=workers, use_gpu=False)
    run_training(settings, dataset, run, cluster, report)
    counted = speeds[1:-1] or speeds
    return 1 / median(counted)
