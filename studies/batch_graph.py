"""What the discriminator sees: the neighbour graph of a batch, drawn in the plane.

  python -m studies.batch_graph outputs/ema/0.1.safetensors --sampler fast8
  python -m studies.batch_graph before.safetensors after.safetensors --sampler fast8,fast8

One panel of real held-out images and one for each weights file (generated from the same seeds and
labels): points are the two leading principal components of the reals' features, lines join each
image to its k nearest neighbours in the full feature space. Writes batch_graph.png.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.collections import LineCollection

from dataset.pixels import to_uint8
from dataset.store import ImageDataset
from discriminators.knn_graph import knn_graph
from evaluation.reference import Reference, load_reference
from models.denoiser import load_denoiser
from pipelines.charts import COLOURS, INK, MUTED, new_figure, png
from pipelines.generation import generation_labels
from pipelines.params import load_params
from sampling.config import SamplerConfig
from sampling.generate import generate


def real_batch(dataset: ImageDataset, reference: Reference, labels: np.ndarray) -> np.ndarray:
    """Features [N, F] of held-out images with the given labels, in their order."""
    own = np.asarray(dataset.labels)[dataset.held_out_indices]
    taken: dict[int, int] = {}
    rows = []
    for label in labels.tolist():
        places = np.flatnonzero(own == label) if label >= 0 else np.arange(len(own))
        rows.append(places[taken.get(label, 0) % len(places)])
        taken[label] = taken.get(label, 0) + 1
    return np.asarray(reference.held_out_features[rows], np.float64)


def generated_batch(
    weights: Path, sampler: SamplerConfig, reference: Reference, labels: np.ndarray, seed: int
) -> np.ndarray:
    """Features [N, F] of generated images with the given labels."""
    denoiser = load_denoiser(weights)
    asked = torch.from_numpy(labels) if denoiser.num_classes else None
    images = generate(denoiser, sampler, seed, range(len(labels)), asked)
    return np.asarray(reference.extractor.features(to_uint8(images), 256), np.float64)


def draw(batches: dict[str, np.ndarray], labels: np.ndarray, k: int) -> bytes:
    """PNG with one panel per batch; the first gives the axes, as it is the real one."""
    first = next(iter(batches.values()))
    centre = first.mean(0)
    axes_of = np.linalg.svd(first - centre, full_matrices=False)[2][:2]  # [2, F]
    planes = {name: (batch - centre) @ axes_of.T for name, batch in batches.items()}
    reach = 1.1 * max(float(np.abs(points).max()) for points in planes.values())
    figure = new_figure((4.0 * len(batches), 4.3))
    panels = np.atleast_1d(figure.subplots(1, len(batches)))
    for axes, (name, batch) in zip(panels, batches.items(), strict=True):
        points, (sources, centres) = planes[name], knn_graph(torch.from_numpy(batch), k).numpy()
        distance = np.linalg.norm(batch[sources] - batch[centres], axis=1).mean()
        lines = np.stack([points[sources], points[centres]], 1)  # [E, 2, 2]
        axes.add_collection(LineCollection(list(lines), colors=MUTED, linewidths=0.4, alpha=0.5))
        colours = [COLOURS[label % len(COLOURS)] for label in labels.tolist()]
        axes.scatter(*points.T, c=colours, s=14, zorder=2)
        axes.set_title(f"{name}\nmean distance to {k} neighbours {distance:.2f}", fontsize=10)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal")
    figure.supxlabel("first principal component of the real batch; colours are classes",
                     fontsize=9, color=INK)  # fmt: skip
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
    add("--params", default="params.yaml")
    add("--sampler", required=True, help="a name under `sampling`, or one for each weights file")
    add("--adapter", default="", help="numbers of the files whose adapter is on, e.g. 2")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--reference", type=Path, default=Path("outputs/reference"), metavar="FOLDER")
    add("--images", type=int, default=128)
    add("-k", type=int, default=8, help="neighbours (default: %(default)s)")
    add("--seed", type=int, default=0)
    add("--out", type=Path, default=Path("reports/studies/batch_graph.png"), metavar="FILE")
    options = parser.parse_args(arguments)
    names = (options.names or ",".join(path.stem for path in options.weights)).split(",")
    samplers = options.sampler.split(",")
    samplers = samplers * len(options.weights) if len(samplers) == 1 else samplers
    on = {int(part) for part in options.adapter.split(",") if part}
    if not len(names) == len(samplers) == len(options.weights):
        parser.error("--names and --sampler take one entry for each weights file")
    try:
        params = load_params(options.params)
        settings = [params.sampling[name] for name in samplers]
        dataset = ImageDataset(options.dataset)
        reference = load_reference(options.reference, params.evaluation.inception_path)
        labels = generation_labels(dataset, options.seed, options.images)
        batches = {"real, held out": real_batch(dataset, reference, labels)}
        for number, (name, path) in enumerate(zip(names, options.weights, strict=True), start=1):
            setting = settings[number - 1].model_copy(update={"adapter": number in on})
            batches[name] = generated_batch(path, setting, reference, labels, options.seed)
    except KeyError as error:
        parser.error(f"--sampler {error}: params name {', '.join(params.sampling)}")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(draw(batches, labels, options.k))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
