"""Draws what the discriminator sees: the neighbour graph of a batch, in the plane.

  python -m studies.batch_graph outputs/ema/0.1.safetensors --sampler fast8
  python -m studies.batch_graph control.safetensors game.safetensors --sampler few5,few5_game

One panel shows real held-out images, and one the images of each weights file (drawn with the same
seeds and labels). The axes are the two leading principal components of the real images' features;
lines join each image to its k nearest neighbours in the full feature space. A sampler with
`adapter: true` switches on the adapter of its weights. Writes batch_graph.png.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset.store import ImageDataset
from evaluation.sheets.fonts import has_letters, matplotlib_font
from pipelines.console.command import check_images, check_seed
from pipelines.params import load_params
from pipelines.reporting.figures import INK, MUTED, new_figure, png
from pipelines.workspace.paths import grid_cache
from sampling.config import SamplerConfig
from sampling.labels import generation_labels
from sampling.request import GenerationRequest

if TYPE_CHECKING:
    from evaluation.reference import Reference


def matching_rows(own: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows of `own` that have the given labels, in their order.

    A row repeats only after all rows of its label have been used. For the label -1, and for labels
    that `own` lacks, all rows are used.
    """
    rows_of = {label: np.flatnonzero(own == label) for label in set(labels.tolist()) if label >= 0}
    all_rows = np.arange(len(own))
    taken: dict[int, int] = {}
    rows = []
    for label in labels.tolist():
        choice = rows_of.get(label, all_rows)
        choice = choice if len(choice) else all_rows  # a class of which no image is held out
        rows.append(choice[taken.get(label, 0) % len(choice)])
        taken[label] = taken.get(label, 0) + 1
    return np.asarray(rows)


def real_batch(dataset: ImageDataset, reference: "Reference", labels: np.ndarray) -> np.ndarray:
    """Features [N, F] of held-out images with the given labels, in their order."""
    rows = matching_rows(np.asarray(dataset.labels)[reference.held_out_indices], labels)
    return np.asarray(reference.held_out_features[rows], np.float64)


def generated_batch(
    weights: Path, sampler: SamplerConfig, reference: "Reference", labels: np.ndarray, seed: int
) -> np.ndarray:
    """Features [N, F] of generated images with the given labels."""
    from models.denoiser import load_denoiser
    from sampling.from_weights import generate_pictures

    denoiser = load_denoiser(weights)
    request = GenerationRequest(
        sampler=sampler,
        seed=seed,
        indices=range(len(labels)),
        labels=labels if denoiser.num_classes else np.full_like(labels, -1),
        weights=str(weights),
        cache_dir=str(grid_cache()),
    )
    pictures = generate_pictures(denoiser, request)
    return np.asarray(reference.extractor.features(pictures, 256), np.float64)


def draw(
    batches: list[tuple[str, np.ndarray]], labels: np.ndarray, k: int, names: Sequence[str] = ()
) -> bytes:
    """PNG with one panel per batch. The first batch, the real one, gives the axes.

    Args:
        batches: titles and features [N, F].
        labels: int64 [N], the same for every batch; -1: none.
        k: neighbours.
        names: of the labels, for the key (default: their numbers).
    """
    import matplotlib
    import torch
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    from discriminators.knn_graph import knn_graph

    first = batches[0][1]
    centre = first.mean(0)
    axes_of = np.linalg.svd(first - centre, full_matrices=False)[2][:2]  # [2, F]
    planes = [(batch - centre) @ axes_of.T for _, batch in batches]
    low = np.min([points.min(0) for points in planes], 0)  # [2], of all panels
    high = np.max([points.max(0) for points in planes], 0)
    middle, reach = (low + high) / 2, 0.55 * float((high - low).max())
    palette = matplotlib.colormaps["tab10" if labels.max() < 10 else "tab20"].colors
    colours = [palette[label % len(palette)] for label in labels.tolist()]
    figure = new_figure((4.0 * len(batches), 5.1))
    panels = np.atleast_1d(figure.subplots(1, len(batches)))
    for axes, points, (name, batch) in zip(panels, planes, batches, strict=True):
        sources, centres = knn_graph(torch.from_numpy(batch), k).numpy()
        distance = np.linalg.norm(batch[sources] - batch[centres], axis=1).mean()
        lines = np.stack([points[sources], points[centres]], 1)  # [E, 2, 2]
        axes.add_collection(LineCollection(list(lines), colors=MUTED, linewidths=0.4, alpha=0.35))
        axes.scatter(*points.T, c=colours, s=16, zorder=2)
        axes.set_title(f"{name}\nmean distance to {k} neighbours {distance:.2f}", fontsize=10)
        axes.set_xlim(middle[0] - reach, middle[0] + reach)
        axes.set_ylim(middle[1] - reach, middle[1] + reach)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal")
        axes.set_xlabel("first principal component of the real batch", fontsize=8, color=INK)
    panels[0].set_ylabel("second principal component", fontsize=8, color=INK)
    shown = sorted(set(labels.tolist()) - {-1})
    if 0 < len(shown) <= len(palette):
        keys = [Line2D([], [], marker="o", linestyle="", color=palette[n]) for n in shown]
        titles = [names[n] if n < len(names) else str(n) for n in shown]
        titles = [
            title if has_letters(matplotlib_font(), title) else f"class {n}"
            for n, title in zip(shown, titles, strict=True)
        ]
        figure.legend(keys, titles, loc="outside lower center", ncols=10, fontsize=8, frameon=False)
    return png(figure)


def main(arguments: list[str] | None = None) -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.batch_graph",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("weights", nargs="+", type=Path, help="weights files (.safetensors)")
    add("--names", help="titles of the panels, separated by commas (default: the file names)")
    add("--params", default="params.yaml", help="default: %(default)s")
    add("--sampler", required=True, help="a name under `sampling`, or one for each weights file")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--reference", type=Path, default=Path("outputs/reference"), metavar="FOLDER")
    add("--images", type=int, default=64, help="in each batch (default: %(default)s)")
    add("-k", type=int, default=8, help="neighbours (default: %(default)s)")
    add("--seed", type=int, default=0, help="of labels and images (default: %(default)s)")
    add(
        "--out",
        type=Path,
        default=Path("reports/studies/batch_graph.png"),
        metavar="FILE",
        help="default: %(default)s",
    )
    options = parser.parse_args(arguments)
    names = options.names.split(",") if options.names else [path.stem for path in options.weights]
    samplers = options.sampler.split(",")
    samplers = samplers * len(options.weights) if len(samplers) == 1 else samplers
    if not len(names) == len(samplers) == len(options.weights):
        parser.error("--names and --sampler take one entry for each weights file")
    try:
        check_images("--images", options.images)
        check_images("-k", options.k)
        check_seed("--seed", options.seed)
        params = load_params(options.params)
        settings = [params.sampling[name] for name in samplers]
        from evaluation.reference import load_reference  # needs torch

        dataset = ImageDataset(options.dataset)
        reference = load_reference(options.reference, params.evaluation.inception_path)
        labels = generation_labels(dataset, options.seed, options.images)
        batches = [("real, held out", real_batch(dataset, reference, labels))]
        for name, path, setting in zip(names, options.weights, settings, strict=True):
            batch = generated_batch(path, setting, reference, labels, options.seed)
            batches.append((name, batch))
    except KeyError as error:
        parser.error(f"--sampler {error}: params name {', '.join(params.sampling)}")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(draw(batches, labels, options.k, dataset.label_names))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
