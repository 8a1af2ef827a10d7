"""Measures the cost of the metrics of local structure at full size: time and peak memory.

Usage: python -m benchmarks.metrics [--images 50000] [--features 2048] [--k 5]
Features are drawn from one mixture of Gaussians for both sides, so the values should lie at their
floors: coverage, recall and precision as for a real set against itself, knn_two_sample 0.5. Half an
hour on one core at the default size; --images 5000 takes seconds. Linux (reads /proc/self/status).
"""

import argparse
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

CLUSTERS, LATENT = 100, 16


def mixture(images: int, features: int, seed: int) -> np.ndarray:
    """float32 [images, features] in clusters on a plane of few dimensions, like real features."""
    shape = np.random.default_rng(0)  # the same mixture for every seed
    plane = shape.standard_normal((LATENT, features), dtype=np.float32)
    centres = 2 * shape.standard_normal((CLUSTERS, LATENT), dtype=np.float32)
    rng = np.random.default_rng(1 + seed)
    latent = centres[rng.integers(CLUSTERS, size=images)]
    latent = latent + rng.standard_normal(latent.shape, dtype=np.float32)
    return latent @ plane


def peak_memory() -> float:
    """Largest resident size of this process so far, in GB."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e9


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--images", type=int, default=50_000, help="a side")
    arguments.add_argument("--features", type=int, default=2048)
    arguments.add_argument("--k", type=int, default=5)
    args = arguments.parse_args()
    from evaluation.manifold import structure_metrics  # needs torch, which --help does without

    real, generated = (mixture(args.images, args.features, seed) for seed in (0, 1))
    before, start = peak_memory(), time.perf_counter()
    found = structure_metrics(real, generated, args.k)
    seconds = time.perf_counter() - start
    table = Table("metric", "value", title=f"{args.images} x {args.features} features a side")
    for name, value in found.items():
        table.add_row(name, f"{value:.4f}")
    Console().print(table)
    print(
        f"{seconds:.0f} s; peak memory {peak_memory():.2f} GB, {before:.2f} GB of it before the "
        "call"
    )


if __name__ == "__main__":
    main()
