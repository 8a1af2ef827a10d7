"""Runs every solver on every grid at every number of evaluations, and measures each run."""

from pathlib import Path

import pandas as pd
from torch import Tensor

from pipelines.console.progress import progress
from sampling.grids.closed_form import CLOSED_FORM
from sampling.grids.table import time_grid
from sampling.solvers.table import make_solver
from studies.sampling.subjects import Subject

SIGMA_MIN, SIGMA_MAX = 0.002, 80.0
REFERENCE_STEPS, LONG_STEPS = 600, 50

SOLVERS: dict[str, tuple[str, dict]] = {
    "ddim": ("ddim", {}),
    "heun": ("heun", {}),
    "dpmpp_2m": ("dpmpp_2m", {}),
    "unipc-2": ("unipc", {"order": 2}),
    "unipc-3": ("unipc", {"order": 3}),
}
GRIDS = (*CLOSED_FORM, "optimized")


def measure(subject: Subject, nfes: tuple[int, ...], grid_cache: Path) -> pd.DataFrame:
    """One row per run: subject, nfe, solver, grid, steps, rmse and, if judged, kid and fd."""
    best = subject.run("heun", {}, time_grid("karras", REFERENCE_STEPS, SIGMA_MIN, SIGMA_MAX))
    rows: list[dict] = []

    def add(nfe: int, solver: str, grid: str, steps: int, images: Tensor) -> None:
        rmse = float((images - best).double().square().mean().sqrt())
        judged = subject.judge(images) if subject.judge is not None else {}
        rows.append(
            {"subject": subject.name, "nfe": nfe, "solver": solver, "grid": grid, "steps": steps}
            | {"rmse": rmse}
            | judged
        )

    plan = [
        (nfe, solver, grid, steps)
        for nfe in nfes
        for solver in SOLVERS
        for grid in GRIDS
        if (steps := steps_for(solver, nfe)) is not None
    ]
    long = time_grid("karras", LONG_STEPS, SIGMA_MIN, SIGMA_MAX)
    add(2 * LONG_STEPS - 1, "heun", "karras", LONG_STEPS, subject.run("heun", {}, long))
    with progress(subject.name, len(plan)) as report:
        for done, (nfe, solver, grid, steps) in enumerate(plan, start=1):
            options = {"c": subject.denoiser.sigma_data} if grid == "arctan" else {}
            sigmas = time_grid(grid, steps, SIGMA_MIN, SIGMA_MAX, cache_dir=grid_cache, **options)
            name, settings = SOLVERS[solver]
            add(nfe, solver, grid, steps, subject.run(name, settings, sigmas))
            report(done)
    if subject.floor:
        rows.append(
            {"subject": subject.name, "nfe": 0, "solver": "real", "grid": "floor", "steps": 0}
            | subject.floor
        )
    return pd.DataFrame(rows)


def steps_for(solver: str, nfe: int) -> int | None:
    """Number of steps that makes exactly this many evaluations; None if there is none."""
    name, options = SOLVERS[solver]
    for steps in range(2, nfe + 1):
        if make_solver(name, **options).evaluations([1.0] * steps + [0.0]) == nfe:
            return steps
    return None
