"""Which guidance weight at which EMA length is best?

Images of every EMA length are drawn at every guidance weight from the same noise and labels, and
judged by KID, FD and conditional accuracy against the data set's reference.

  python -m studies.guidance
  python -m studies.guidance --weights 1,1.5,2,3 --interval 0.2,3
  python -m studies.guidance --kind autoguidance --guide outputs/ema/0.2.safetensors

Writes guidance.csv, guidance.md and guidance.png, a heat map of weight x EMA length per metric.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from evaluation.kid import kernel_distance
from evaluation.metric_table import METRICS, metric_entry
from pipelines.console.command import check_images, check_seed
from pipelines.console.progress import progress
from pipelines.reporting.figures import INK
from sampling.config import SamplerConfig
from sampling.guidance.config import GuidanceConfig
from sampling.guidance.interval import IntervalConfig
from sampling.guidance.table import DEFAULT_KIND, KINDS, weighted_kinds
from studies.labels import dataset_beside, study_labels

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from evaluation.reference import Reference


def sweep(
    models: dict[str, Path],
    weights: list[float],
    sampler: SamplerConfig,
    reference: "Reference",
    guide: Path | None,
    dataset: Path,
    images: int,
    seed: int,
) -> "pd.DataFrame":
    """One row per EMA length and weight: length, weight, kid, fd and, with labels,
    conditional_accuracy.

    The first entry of the sampler's guidance takes each weight in turn. dataset: the folder of the
    images whose labels are drawn.
    """
    import pandas as pd

    from models.denoiser import load_denoiser
    from sampling.generate import generate

    helper = None if guide is None else load_denoiser(guide)
    rows, judged = [], reference.train_indices if reference else None
    with progress("guidance", len(models) * len(weights)) as report:
        for length, path in models.items():
            denoiser = load_denoiser(path)
            labels = study_labels(denoiser, dataset, seed, images, judged)
            for weight in weights:
                first, *others = sampler.guidance
                guidance = (first.model_copy(update={"weight": weight}), *others)
                setting = sampler.model_copy(update={"guidance": guidance})
                drawn = generate(denoiser, setting, seed, range(images), labels, guide=helper)
                pixels = denoiser.codec.decode(drawn)
                rows.append(
                    {"length": length, "weight": weight} | _judge(reference, pixels, labels)
                )
                report(len(rows))
    return pd.DataFrame(rows)


def _judge(
    reference: "Reference", pixels: np.ndarray, labels: "torch.Tensor | None"
) -> dict[str, float | None]:
    from evaluation.classifier import classifier_accuracy
    from evaluation.frechet import frechet_from_features

    features = reference.extractor.features(pixels, 256)
    real = reference.held_out_features
    row: dict[str, float | None] = {
        "kid": kernel_distance(real, features)["value"],
        "fd": frechet_from_features(real, features),
    }
    if reference.classifier is not None and labels is not None:
        everything = np.arange(len(pixels))
        row["conditional_accuracy"] = classifier_accuracy(
            reference.classifier, pixels, labels.numpy(), everything
        )
    return row


def write_report(table: "pd.DataFrame", out: Path) -> None:
    """guidance.csv, guidance.md and guidance.png in `out`."""
    from matplotlib.figure import Figure

    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "guidance.csv", index=False, float_format="%.6g")
    metrics = [metric for metric in METRICS if metric in table]
    parts = ["# Guidance weight x EMA length\n"]
    figure = Figure(figsize=(4.2 * len(metrics), 3.4), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        grid, about = (
            table.pivot(index="weight", columns="length", values=metric),
            metric_entry(metric),
        )
        best = grid.max().max() if about.better == "up" else grid.min().min()
        parts += [f"## {about.title}\n", _markdown(grid, best)]
        colours = "viridis" if about.better == "up" else "viridis_r"
        axes.imshow(grid.to_numpy(), cmap=colours, aspect="auto")
        axes.set_xticks(range(len(grid.columns)), grid.columns)
        axes.set_yticks(range(len(grid.index)), [f"{weight:g}" for weight in grid.index])
        axes.set_xlabel("EMA length")
        axes.set_ylabel("guidance weight")
        axes.set_title(about.title, fontsize=11, color=INK)
        for (row, column), value in np.ndenumerate(grid.to_numpy()):
            style = {"weight": "bold"} if value == best else {}
            axes.text(
                column,
                row,
                f"{value:.3g}",
                ha="center",
                va="center",
                fontsize=8,
                bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 1},
                **style,
            )
    (out / "guidance.md").write_text("\n".join(parts))
    figure.savefig(out / "guidance.png", dpi=120)


def _markdown(grid: "pd.DataFrame", best: float) -> str:
    lines = [["weight", *map(str, grid.columns)], ["---"] * (1 + len(grid.columns))]
    for weight, row in grid.iterrows():
        cells = [f"**{value:.3g}**" if value == best else f"{value:.3g}" for value in row]
        lines.append([f"{weight:g}", *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def main(arguments: list[str] | None = None) -> None:
    """Run the sweep and write its three files."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.guidance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--ema",
        type=Path,
        default=Path("outputs/ema"),
        metavar="FOLDER",
        help="one weights file per EMA length (default: %(default)s)",
    )
    add(
        "--reference",
        type=Path,
        default=Path("outputs/reference"),
        metavar="FOLDER",
        help="default: %(default)s",
    )
    add(
        "--dataset",
        type=Path,
        metavar="FOLDER",
        help="where labels are drawn from (default: the folder dataset beside the reference)",
    )
    add("--inception-path", metavar="FILE", help="its weights, where the reference is Inception's")
    kinds = [kind for kind in weighted_kinds() if not KINDS[kind].needs.classifier]
    add("--kind", default=DEFAULT_KIND, choices=kinds, help="of guidance (default: %(default)s)")
    guided = [kind for kind in kinds if KINDS[kind].needs.network]
    add(
        "--guide",
        type=Path,
        metavar="FILE",
        help=f"weights of the guiding denoiser, for {', '.join(guided)}",
    )
    add(
        "--weights",
        type=_numbers,
        default=[0.5, 1.0, 1.25, 1.5, 2.0, 3.0],
        metavar="W,W,...",
        help="guidance weights; 1 is the plain denoiser (default: 0.5 to 3)",
    )
    add("--interval", type=_numbers, metavar="LO,HI", help="guide only at these noise levels")
    add("--solver", default="unipc", help="default: %(default)s")
    add("--grid", default="optimized", help="time grid (default: %(default)s)")
    add("--steps", type=int, default=12, help="of the time grid (default: %(default)s)")
    add("--images", type=int, default=512, help="per setting (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    add(
        "--out",
        type=Path,
        default=Path("reports/studies"),
        metavar="FOLDER",
        help="default: %(default)s",
    )
    options = parser.parse_args(arguments)
    models = {path.stem: path for path in sorted(options.ema.glob("*.safetensors"))}
    if not models:
        parser.error(f"--ema {options.ema}: no weights (*.safetensors) there; run dvc repro first")
    if options.interval is not None and len(options.interval) != 2:
        parser.error("--interval takes two numbers, LO,HI")
    if KINDS[options.kind].needs.network != (options.guide is not None):
        parser.error(f"--guide FILE and --kind {' or '.join(guided)} go together")
    guidance: tuple[GuidanceConfig, ...] = (KINDS[options.kind](kind=options.kind),)
    try:
        check_images("--images", options.images)
        check_seed("--seed", options.seed)
        if options.interval is not None:
            low, high = options.interval
            guidance += (IntervalConfig(sigma_lo=low, sigma_hi=high),)
        sampler = SamplerConfig(
            solver=options.solver, grid=options.grid, steps=options.steps, guidance=guidance
        )
        from evaluation.reference import load_reference  # needs torch

        table = sweep(
            models,
            options.weights,
            sampler,
            load_reference(options.reference, options.inception_path),
            options.guide,
            options.dataset or dataset_beside(options.reference),
            options.images,
            options.seed,
        )
    except ValidationError as error:
        parser.error(error.errors()[0]["msg"].removeprefix("Value error, "))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    write_report(table, options.out)
    print((options.out / "guidance.md").read_text())


if __name__ == "__main__":
    main()
