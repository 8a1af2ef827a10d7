"""What a command costs beside its work: each stage over next to nothing, by the wall's clock.

A tiny project in a folder of its own, set up as a user's, with MLflow. The training has two steps;
once in the command's process, once in two workers of Ray.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.long_run import TINY, command, finish, set_up, write_params
from benchmarks.side_by_side import Row
from foundation.nested_settings import merged

STAGE_AIM, RAY_AIM = 3.0, 15.0
"""Seconds."""
STAGES = ("prepare", "reference", "train", "reconstruct", "evaluate", "summarize")
ITEM = ("--length", "0.1", "--sampler", "heun")
"""What evaluate judges: names in TINY."""
WORKERS, ROUNDS = 2, 3
LITTLE: dict[str, Any] = merged(
    TINY,
    {
        "train": {"total_kimg": 0.064, "batch_size": 32, "held_out_images": 8},
        "ema": {"snapshots": 2},
        "evaluation": {"num_images": 20, "kid_subsets": 2, "kid_subset_size": 10},
    },
)


def rows() -> Iterator[Row]:
    """A row for each stage, in this order, and one for a training on Ray."""
    taken: dict[str, list[float]] = {stage: [] for stage in (*STAGES, "train on Ray")}
    with tempfile.TemporaryDirectory(prefix="sadm-fixed-") as name:
        folder = Path(name)
        set_up(folder)
        for _ in range(ROUNDS):
            forget(folder)
            write_params(folder, LITTLE)
            for stage in STAGES:
                taken[stage].append(seconds(folder, stage))
            write_params(folder, merged(LITTLE, {"cluster": {"num_workers": WORKERS}, "seed": 1}))
            taken["train on Ray"].append(seconds(folder, "train"))
    for stage, found in taken.items():
        on_ray = stage == "train on Ray"
        note = f"{min(found):.1f} to {max(found):.1f} s"
        note += f", {WORKERS} workers" if on_ray else ""
        aim = RAY_AIM if on_ray else STAGE_AIM
        yield Row(f"pipelines.{stage}", statistics.median(found), aim=aim, note=note)


def seconds(folder: Path, stage: str) -> float:
    """Seconds of a stage's command, from its start to its end."""
    words = [f"pipelines.{stage}", *(ITEM if stage == "evaluate" else ())]
    begin = time.perf_counter()
    finish(command(folder, *words), folder)
    return time.perf_counter() - begin


def forget(folder: Path) -> None:
    """Remove what an earlier round has made, but for MLflow's database."""
    for made in ("outputs", "reports", ".runs"):
        shutil.rmtree(folder / made, ignore_errors=True)
