"""Which solver and time grid give good images in few evaluations?

Every solver runs on every grid at every number of denoiser evaluations (NFE) from the same noise.
The study measures the distance (RMSE) to a 600-step run, on exact mixtures in 2 and 64 dimensions
and on trained models; for the latter also KID and FD, their floors and those of a 50-step run.

  python -m studies.sampling
  python -m studies.sampling --model outputs/ema/0.1.safetensors --reference outputs/reference
  python -m studies.sampling --model A --reference REF_A --model B --reference REF_B --names a,b
  python -m studies.sampling --no-mixtures --model big.safetensors --nfe 5,8,12 --images 128

Writes sampling.csv (every run), sampling.md (tables with the winners) and sampling.png.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from evaluation.frechet import frechet_from_features
from evaluation.kid import kernel_distance
from evaluation.reference import Reference, load_reference
from models.analytic import GaussianMixtureDenoiser
from models.codecs import Codec
from models.denoiser import load_denoiser
from pipelines.console.command import check_argument, check_images, check_seed
from pipelines.console.progress import progress
from sampling.grids.closed_form import CLOSED_FORM
from sampling.grids.table import time_grid
from sampling.guidance.base import LabelledDenoiser, bind_labels
from sampling.seeds import image_generators, image_noise
from sampling.solvers.table import make_solver, solve
from studies.labels import dataset_beside, study_labels
from studies.sampling.report import PARTS, write_report

SIGMA_MIN, SIGMA_MAX = 0.002, 80.0
NFE = (5, 6, 7, 8, 10, 12, 20, 35, 63)
REFERENCE_STEPS, LONG_STEPS = 600, 50

SOLVERS: dict[str, tuple[str, dict]] = {
    "ddim": ("ddim", {}),
    "heun": ("heun", {}),
    "dpmpp_2m": ("dpmpp_2m", {}),
    "unipc-2": ("unipc", {"order": 2}),
    "unipc-3": ("unipc", {"order": 3}),
}
GRIDS = (*CLOSED_FORM, "optimized")


@dataclass
class Subject:
    """A denoiser and the noise from which all runs on it start."""

    name: str
    denoiser: LabelledDenoiser
    noise: Tensor
    labels: Tensor | None = None
    judge: Callable[[Tensor], dict[str, float]] | None = None
    batch: int = 256
    floor: dict[str, float] = field(default_factory=dict)

    def run(self, solver: str, options: dict, sigmas: Tensor) -> Tensor:
        """Images [N, C, H, W] from all of the noise."""
        parts = []
        for start in range(0, len(self.noise), self.batch):
            chosen = slice(start, start + self.batch)
            labels = None if self.labels is None else self.labels[chosen]
            denoise = bind_labels(self.denoiser, labels)
            with torch.no_grad():
                parts.append(solve(solver, denoise, self.noise[chosen], sigmas, **options))
        return torch.cat(parts)


def mixtures(images: int) -> Iterator[Subject]:
    """Subjects with exact denoisers: Gaussian mixtures in 2 and 64 dimensions."""
    settings = {  # dimensions, components, deviation of their means, deviation of each
        "2-D, 8 narrow": (2, 8, 0.5, 0.05),
        "2-D, 3 wide": (2, 3, 0.7, 0.2),
        "64-D, 20 wide": (64, 20, 0.4, 0.15),
        "64-D, 40 narrow": (64, 40, 0.5, 0.05),
    }
    for number, (name, (size, components, apart, std)) in enumerate(settings.items()):
        generator = torch.Generator().manual_seed(number)
        means = torch.randn(components, 1, 1, size, generator=generator, dtype=torch.float64)
        denoiser = GaussianMixtureDenoiser(apart * means, std)
        noise = image_noise(image_generators(0, range(images)), denoiser.image_shape, torch.float64)
        yield Subject(name, denoiser, noise)


def trained(
    path: Path,
    reference: Path | None,
    images: int,
    seed: int,
    name: str | None = None,
    inception_path: str | None = None,
    dataset: Path | None = None,
) -> Subject:
    """The subject of a trained model, with labels as in its data set.

    reference: folder; with it the images are judged by KID and FD. dataset: folder of the data set,
    by default beside the reference.
    """
    denoiser = load_denoiser(path)
    noise = image_noise(image_generators(seed, range(images)), denoiser.image_shape)
    real = None if reference is None else load_reference(reference, inception_path)
    rows = None if real is None else real.train_indices
    labels = study_labels(denoiser, dataset or dataset_beside(reference), seed, images, rows)
    subject = Subject(name or f"{path.parent.name}/{path.stem}", denoiser, noise, labels)
    if real is not None:
        subject.judge = partial(_judge, real, denoiser.codec)
        sample = np.random.default_rng(seed).permutation(len(real.train_features))[:images]
        subject.floor = _distances(real, real.train_features[sample])  # in random order
    return subject


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


def _judge(reference: Reference, codec: Codec, images: Tensor) -> dict[str, float]:
    return _distances(reference, reference.extractor.features(codec.decode(images), 256))


def _distances(reference: Reference, features: np.ndarray) -> dict[str, float]:
    """FD and KID against the held-out features; KID also of parts, for errors of differences."""
    real = reference.held_out_features
    parts = [
        kernel_distance(real, part, seed=number)["value"]
        for number, part in enumerate(np.array_split(features, PARTS))
    ]
    fd = frechet_from_features(real, features)
    return {"kid": float(np.mean(parts)), "fd": fd} | {
        f"kid_{number}": part for number, part in enumerate(parts, start=1)
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the study and write its three files."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.sampling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="weights of a trained model (.safetensors); may be repeated",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="outputs/reference of its data set, for KID and FD; once, or once for each --model",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="outputs/dataset of a model: its labels are drawn from there; once, or once for each "
        "--model (default: the folder dataset beside its reference)",
    )
    parser.add_argument("--names", metavar="A,B", help="of the models, for the tables")
    parser.add_argument(
        "--inception-path", metavar="FILE", help="its weights, where a reference is Inception's"
    )
    parser.add_argument("--no-mixtures", action="store_true", help="trained models only")
    parser.add_argument("--nfe", default=",".join(map(str, NFE)), help="default: %(default)s")
    parser.add_argument("--images", type=int, default=256, help="per run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise of trained models")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/studies"),
        metavar="FOLDER",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--grid-cache",
        type=Path,
        default=Path(".runs/grids"),
        metavar="FOLDER",
        help="where optimized grids are kept (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        nfes = tuple(sorted({int(part) for part in options.nfe.split(",")}))
    except ValueError:
        parser.error(f"--nfe {options.nfe}: give whole numbers, separated by commas")
    try:
        check_images("--images", options.images)
        check_seed("--seed", options.seed)
        check_argument("--nfe", nfes[-1], 2, 1000, "optimized grids are searched for all of them")
    except ValueError as error:
        parser.error(str(error))
    if nfes[0] < 2 or options.images < 2 * PARTS:
        parser.error(f"--nfe starts at 2 and --images at {2 * PARTS}")
    if not options.model and options.no_mixtures:
        parser.error("nothing to study: give --model FILE or leave out --no-mixtures")
    count = len(options.model)
    references, datasets = (
        (given * count if len(given) == 1 else given) or [None] * count
        for given in (options.reference, options.dataset)
    )
    names = options.names.split(",") if options.names else [None] * count
    if not len(references) == len(datasets) == len(names) == count:
        parser.error(
            "give --reference and --dataset once or once for each --model, and a name for each"
        )
    subjects = [] if options.no_mixtures else list(mixtures(options.images))
    try:
        subjects += [
            trained(
                path, reference, options.images, options.seed, name, options.inception_path, dataset
            )
            for path, reference, name, dataset in zip(
                options.model, references, names, datasets, strict=True
            )
        ]
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    table = pd.concat(
        [measure(subject, nfes, options.grid_cache) for subject in subjects], ignore_index=True
    )
    table.to_csv(options.out / "sampling.csv", index=False, float_format="%.6g")
    write_report(table, options.out, options.grid_cache)
    print((options.out / "sampling.md").read_text())


if __name__ == "__main__":
    main()
