"""Do steps that each image chooses, or levels fitted to the denoiser, save evaluations?

adaptive_heun draws at tolerances of which the mean number of evaluations (NFE) is nearest to a
wanted one, and fixed solvers on fixed grids at exactly that number, all from the same noise. The
study measures the distance (RMSE) to a 600-step run, on exact mixtures and on weights of --model.

  python -m studies.dynamic_steps
  python -m studies.dynamic_steps --nfe 8,12,20 --no-mixtures --model outputs/ema/0.1.safetensors
  python -m studies.dynamic_steps --list

Prints the table of all rows in --out. A row that is there already is not computed again.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.console.command import check_argument, check_images

if TYPE_CHECKING:
    from torch import Tensor

    from studies.sampling.subjects import Subject

NFE = (8, 12, 20, 35)
OWN_STEPS, FITTED = "adaptive_heun", "unipc-2 fitted"
FIXED: dict[str, tuple[str, dict[str, Any], str]] = {
    "heun karras": ("heun", {}, "karras"),
    "heun arctan": ("heun", {}, "arctan"),
    "unipc-2 log_snr": ("unipc", {"order": 2}, "log_snr"),
    "unipc-3 log_snr": ("unipc", {"order": 3}, "log_snr"),
    "unipc-2 optimized": ("unipc", {"order": 2}, "optimized"),
    FITTED: ("unipc", {"order": 2}, "fitted"),
}
"""{name: (solver, options, grid)}"""
SIGMA_MIN, SIGMA_MAX, REFERENCE_STEPS = 0.002, 80.0, 600
MOST_FITTED = 20
"""Steps beyond which no grid is fitted here."""
HALVINGS = 12
"""Of the interval in which the tolerance of a wanted mean NFE is sought."""


def main(arguments: list[str] | None = None) -> None:
    """Make the rows that are missing, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.dynamic_steps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", type=Path, action="append", default=[], metavar="FILE", help="weights too")
    add("--no-mixtures", action="store_true", help="weights only")
    add("--nfe", default=",".join(map(str, NFE)), help="default: %(default)s")
    add("--images", type=int, default=256, help="per run (default: %(default)s)")
    add("--list", action="store_true", help="print the rows that are there, and make none")
    add(
        "--out",
        type=Path,
        default=Path("studies/rows/dynamic_steps"),
        metavar="FOLDER",
        help="of rows (default: %(default)s)",
    )
    add("--grid-cache", type=Path, default=Path(".runs/grids"), metavar="FOLDER", help="of grids")
    options = parser.parse_args(arguments)
    try:
        nfes = sorted({int(part) for part in options.nfe.split(",")})
    except ValueError:
        parser.error(f"--nfe {options.nfe}: give whole numbers, separated by commas")
    try:
        check_images("--images", options.images)
        check_argument("--nfe", nfes[-1], 5, 199, "grids are searched for 100 steps at most")
        check_argument("--nfe", nfes[0], 5, 199, "adaptive_heun takes no fewer")
    except ValueError as error:
        parser.error(str(error))
    if not options.list:
        make_rows(options, nfes)
    print(table(options.out))


def make_rows(options: argparse.Namespace, nfes: list[int]) -> None:
    """Compute the rows of all subjects that are missing in the folder --out."""
    # These take seconds to import, which --help does without.
    from foundation.json_hash import json_hash
    from sampling.drawing.contents import contents_hash
    from sampling.grids.fitted import Fitted
    from studies.sampling.subjects import mixtures
    from studies.standing_row import standing_row

    subjects = [] if options.no_mixtures else list(mixtures(options.images))
    subjects += [of_weights(path, options.images) for path in options.model]
    for subject in subjects:
        best = None
        for nfe in nfes:
            fit = Fitted().model_dump()
            given = [contents_hash(subject.denoiser), options.images, nfe, sorted(FIXED), fit]
            mark = json_hash(given)
            path = options.out / f"{subject.name.replace(', ', '-').replace(' ', '_')}-{nfe}.json"
            if standing_row(path, mark) is not None:
                continue
            if best is None:
                best = subject.run("heun", {}, levels(subject, "karras", REFERENCE_STEPS))
            row = measured(subject, nfe, best, options.grid_cache)
            keep(path, {"fingerprint": mark, "subject": subject.name, "nfe": nfe, **row})
            print(f"{subject.name}, NFE {nfe}: {row['rmse']}", flush=True)


def of_weights(path: Path, images: int) -> "Subject":
    """The subject of stored weights, with all labels in turn."""
    from models.denoiser import load_denoiser
    from sampling.drawing.fitted_levels import all_labels
    from sampling.seeds import image_generators, image_noise
    from studies.sampling.subjects import Subject

    denoiser = load_denoiser(path)
    noise = image_noise(image_generators(0, range(images)), denoiser.image_shape)
    return Subject(path.stem, denoiser, noise, all_labels(denoiser, images))


def measured(subject: "Subject", nfe: int, best: "Tensor", cache: Path) -> dict[str, Any]:
    """RMSE of every way at so many evaluations, and what adaptive_heun took."""
    errors: dict[str, float] = {}
    for name, (solver, settings, grid) in FIXED.items():
        steps = steps_for(solver, nfe)
        if steps is None or (grid == "fitted" and steps > MOST_FITTED):
            continue
        sigmas = levels(subject, grid, steps, solver, settings, cache)
        errors[name] = rmse(subject.run(solver, settings, sigmas), best)
    images, own = at_mean(subject, nfe)
    errors[OWN_STEPS] = rmse(images, best)
    return {"rmse": {name: float(f"{value:.4g}") for name, value in errors.items()}, "own": own}


def rmse(images: "Tensor", best: "Tensor") -> float:
    """Root mean square difference."""
    return float((images - best).double().square().mean().sqrt())


def steps_for(solver: str, nfe: int) -> int | None:
    """Number of steps that makes exactly so many evaluations, or for heun at most one fewer."""
    return (nfe + 1) // 2 if solver == "heun" else nfe


def levels(
    subject: "Subject",
    grid: str,
    steps: int,
    solver: str = "heun",
    settings: dict[str, Any] | None = None,
    cache: Path | None = None,
) -> "Tensor":
    """The time grid for a subject, float64 [steps + 1]."""
    import numpy as np

    from sampling.config import SamplerConfig
    from sampling.generate import prepare
    from sampling.request import GenerationRequest

    sampler = SamplerConfig(
        solver=solver,
        solver_options=settings or {},
        grid=grid,
        grid_options={"c": subject.denoiser.sigma_data} if grid == "arctan" else {},
        steps=steps,
        sigma_min=SIGMA_MIN,
        sigma_max=SIGMA_MAX,
    )
    request = GenerationRequest(
        sampler=sampler,
        seed=0,
        indices=(),
        labels=np.zeros(0, np.int64),
        cache_dir=None if cache is None else str(cache),
    )
    return prepare(subject.denoiser, request).sigmas


def at_mean(subject: "Subject", nfe: int) -> tuple["Tensor", dict[str, Any]]:
    """(images, facts) of adaptive_heun at the tolerance whose mean NFE is nearest to `nfe`."""
    import math

    low, high = math.log(1e-6), math.log(10.0)
    found = []
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        images, calls = adaptive(subject, math.exp(middle))
        mean = float(calls.mean())
        found.append((abs(mean - nfe), math.exp(middle), images, calls))
        low, high = (middle, high) if mean > nfe else (low, middle)
    _, tolerance, images, calls = min(found, key=lambda one: one[0])
    return images, {
        "tolerance": float(f"{tolerance:.3g}"),
        "mean": round(float(calls.mean()), 2),
        "least": int(calls.min()),
        "most": int(calls.max()),
    }


def adaptive(subject: "Subject", tolerance: float) -> tuple["Tensor", Any]:
    """(images [N, C, H, W], NFE of each [N]), in batches of the subject's."""
    import torch

    from sampling.drawing.tally import EvaluationTally
    from sampling.guidance.base import bind_labels
    from sampling.solvers.table import solve

    tally, parts = EvaluationTally(len(subject.noise)), []
    sigmas = levels(subject, "arctan", 8)  # its first step, of the angle pi / 14, is tried first
    for start in range(0, len(subject.noise), subject.batch):
        noise = subject.noise[start : start + subject.batch]
        labels = None if subject.labels is None else subject.labels[start : start + subject.batch]
        bound = bind_labels(subject.denoiser, labels, tally.batch(start, len(noise)))
        own = {"tolerance": tolerance, "c": subject.denoiser.sigma_data, "max_evaluations": 10_000}
        with torch.no_grad():
            parts.append(solve(OWN_STEPS, bound, noise, sigmas, **own))
    return torch.cat(parts), tally.calls


def keep(path: Path, row: dict[str, Any]) -> None:
    """Write a row."""
    import json

    from foundation.atomic_files import write_text

    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(row, indent=1) + "\n")


def table(folder: Path) -> str:
    """RMSE of each way over the subjects and numbers of evaluations; the least is bold."""
    from studies.tables import markdown, rows_by

    names = [OWN_STEPS, *FIXED]
    lines = []
    for (subject, nfe), (row, *_) in sorted(rows_by(folder, "subject", "nfe").items()):
        errors = row["rmse"]
        least = min(errors.values())
        cells = [
            ""
            if name not in errors
            else f"**{v:.2g}**"
            if (v := errors[name]) == least
            else f"{v:.2g}"
            for name in names
        ]
        own = row["own"]
        lines.append([subject, str(nfe), f"{own['mean']} ({own['least']}–{own['most']})", *cells])
    return markdown(["subject", "NFE", "adaptive: mean NFE (range)", *names], lines)


if __name__ == "__main__":
    main()
