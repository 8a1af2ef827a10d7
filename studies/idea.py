"""Draws the structure game in one picture: batch, neighbour graph, discriminator, gradient.

  python -m studies.idea outputs/ema/0.1.safetensors --out docs/images/idea.png

A graph discriminator learns for `--steps` steps to tell batches of training images from images of
a short sampler (DDIM, `--evaluations`). Then one new batch of each is drawn: its images at the two
leading principal components of their features Psi, joined to their k nearest neighbours; the
discriminator's logit of each image; and how a small step against the gradient of the denoiser's
adversarial loss would change each generated image. All numbers in it are of these weights.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset.slots import GroupPools, unpaired_batch
from dataset.store import ImageDataset
from pipelines.console.command import check_argument
from pipelines.console.progress import progress
from pipelines.reporting.figures import INK, MUTED, new_figure, png
from sampling.config import SamplerConfig
from sampling.labels import generation_labels
from training.structure.config import StructureConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from models.denoiser import Denoiser

GENERATED = 512  # images that the discriminator learns from
SEED = 40_000
SETTINGS = StructureConfig(kind="graph", k=5, gamma=1.0, lr=0.002, feature_sigmas=(0.05, 0.3, 1.0))


@dataclass(frozen=True)
class Batch:
    """One batch as the discriminator sees it; images in data units [N, C, H, W]."""

    images: "Tensor"
    features: "Tensor"  # [N, F]
    logits: "Tensor"  # [N]


def play(
    denoiser: "Denoiser", dataset: ImageDataset, size: int, evaluations: int, steps: int
) -> "tuple[Batch, Batch, Tensor]":
    """Train a discriminator; returns a real batch, a generated one, and its gradient by pixels."""
    import torch

    from foundation.workers import World
    from sampling.generate import generate
    from training.structure.features import make_psi
    from training.structure.opponent import Opponent

    psi = make_psi(SETTINGS, denoiser, dataset.image_shape)
    sampler = SamplerConfig(solver="ddim", grid="karras", steps=evaluations)
    labels = torch.from_numpy(
        generation_labels(dataset, SEED, GENERATED + size, conditional=denoiser.num_classes > 0)
    )
    generated = denoiser.codec.clip(
        generate(denoiser, sampler, SEED, range(len(labels)), labels, batch_size=256)
    )
    chosen = np.random.default_rng(SEED).permutation(dataset.train_indices)[:2048]
    stored, own_labels = dataset.stored(chosen)
    if not denoiser.num_classes:
        own_labels = torch.full_like(own_labels, -1)
    real = denoiser.codec.encode(stored)
    real_features = psi.standardise(real.split(256))
    with torch.no_grad():
        fake_features = torch.cat([psi(part) for part in generated.split(256)])
    opponent = Opponent(SETTINGS, psi.num_features, real_features, World(), SEED)
    opponent.open(real_features, size)
    pools = GroupPools(own_labels.numpy())
    rng = np.random.default_rng(SEED + 1)
    with progress("discriminator: trained", steps) as report:
        for step in range(steps):
            rows = torch.from_numpy(rng.permutation(GENERATED)[:size])
            drawn = unpaired_batch(SEED, pools, labels[rows].numpy(), step * size)
            opponent.step(real_features[drawn], fake_features[rows], labels[rows])
            report(step + 1)
    unseen = labels[GENERATED:]
    drawn = unpaired_batch(SEED, pools, unseen.numpy(), steps * size)
    leaf = generated[GENERATED:].clone().requires_grad_()
    loss = opponent.form.loss_g(real_features[drawn], psi(leaf), unseen)
    (gradient,) = torch.autograd.grad(loss, leaf)
    with torch.no_grad():
        batches = [
            Batch(images, features, opponent.form(features, unseen))
            for images, features in (
                (real[drawn], real_features[drawn]),
                (generated[GENERATED:], fake_features[GENERATED:]),
            )
        ]
    return batches[0], batches[1], gradient


def draw(real: Batch, fake: Batch, gradient: "Tensor", k: int, names: tuple[str, str]) -> bytes:
    """PNG of the two batches, their graphs and logits, and the step on the generated images."""
    import matplotlib
    import torch
    from matplotlib.collections import LineCollection
    from matplotlib.colors import TwoSlopeNorm
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    from discriminators.knn_graph import knn_graph

    both = torch.cat([real.features, fake.features]).double().numpy()
    centre = both.mean(0)
    plane = np.linalg.svd(both - centre, full_matrices=False)[2][:2]
    points = [(batch.features.double().numpy() - centre) @ plane.T for batch in (real, fake)]
    low, high = np.concatenate(points).min(0), np.concatenate(points).max(0)
    edge = 0.07 * (high - low)
    logits = torch.cat([real.logits, fake.logits])
    middle = logits.mean()  # the relativistic loss compares logits, so their level says nothing
    largest = float((logits - middle).abs().max())
    scale = TwoSlopeNorm(0, -largest, largest)
    figure = new_figure((11.6, 5.0))
    panels = figure.subplots(2, 4, width_ratios=[1, 1.25, 1.25, 1])
    titles = (
        "a batch",
        f"$\\to$ features $\\Psi$, {k} nearest neighbours",
        "$\\to$ logits of the discriminator",
        "$\\to$ gradient",
    )
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, fontsize=12, color=INK, pad=8)
    for row, (batch, place, name) in enumerate(zip((real, fake), points, names, strict=True)):
        pictures = _pictures(batch.images)
        _grid(panels[row, 0], pictures)
        panels[row, 0].set_ylabel(name, fontsize=12, color=INK)
        edges = knn_graph(batch.features, k).numpy()
        lines = np.stack([place[edges[0]], place[edges[1]]], 1)
        for axes in panels[row, 1:3]:
            axes.add_collection(
                LineCollection(list(lines), colors=MUTED, linewidths=0.5, alpha=0.35)
            )
            axes.set(
                xlim=(low[0] - edge[0], high[0] + edge[0]),
                ylim=(low[1] - edge[1], high[1] + edge[1]),
                xticks=[],
                yticks=[],
            )
        for picture, (x, y) in zip(pictures, place, strict=True):
            box = OffsetImage(picture, zoom=12 / len(picture), cmap="gray", norm=None)
            panels[row, 1].add_artist(AnnotationBbox(box, (x, y), frameon=False, pad=0))
        dots = panels[row, 2].scatter(
            *place.T,
            c=batch.logits - middle,
            cmap="RdBu",
            norm=scale,
            s=46,
            edgecolors=INK,
            linewidths=0.4,
            zorder=2,
        )
    bar = figure.colorbar(
        dots, cax=panels[0, 3].inset_axes((0.2, 0.2, 0.6, 0.05)), orientation="horizontal"
    )
    bar.set_label("colours of the logits, minus their mean", fontsize=9, color=INK, labelpad=1)
    bar.ax.tick_params(labelsize=8)
    bar.ax.set_title("generated?   real?", fontsize=8, color=INK, pad=3)
    panels[0, 3].axis("off")
    panels[0, 3].text(
        0.5, 0.5, "none for real images", ha="center", va="center", fontsize=10, color=MUTED
    )
    step = -gradient.mean(1).numpy()  # [N, H, W]
    bound = float(np.quantile(np.abs(step), 0.995)) or 1.0
    colours = matplotlib.colormaps["PuOr_r"]((step / bound + 1) / 2)
    _grid(panels[1, 3], colours)
    panels[1, 3].set_xlabel(
        "the discriminator wants:\norange brighter, purple darker", fontsize=9, color=INK
    )
    return png(figure)


def _pictures(images: "Tensor") -> np.ndarray:
    """Data units [N, C, H, W] -> [N, H, W, 3] in [0, 1]."""
    pictures = (images.clamp(-1, 1) + 1) / 2
    return pictures.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def _grid(axes: "Axes", pictures: np.ndarray) -> None:
    """Draw pictures [N, H, W, c] as a square of tiles with a gap between them."""
    side = int(np.ceil(len(pictures) ** 0.5))
    height, width, colours = pictures.shape[1:]
    gap = max(1, height // 8)
    sheet = np.ones((side * (height + gap), side * (width + gap), colours))
    for number, picture in enumerate(pictures):
        top, left = number // side * (height + gap), number % side * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    axes.imshow(sheet[:-gap, :-gap], interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def main(arguments: list[str] | None = None) -> None:
    """Train a discriminator, draw, save."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.idea",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("weights", type=Path, help="weights file (.safetensors)")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--images", type=int, default=25, help="in each batch (default: %(default)s)")
    add("--evaluations", type=int, default=4, help="of the sampler (default: %(default)s)")
    add("--steps", type=int, default=80, help="of the discriminator (default: %(default)s)")
    add("--out", type=Path, default=Path("reports/studies/idea.png"), metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        check_argument("--images", options.images, 9, 256, "more cannot be seen")
        check_argument("--evaluations", options.evaluations, 2, 1000, "a sampler's evaluations")
        check_argument("--steps", options.steps, 1, 100_000, "it has learned long before")
        from models.denoiser import load_denoiser  # needs torch

        dataset = ImageDataset(options.dataset)
        denoiser = load_denoiser(options.weights)
        real, fake, gradient = play(
            denoiser, dataset, options.images, options.evaluations, options.steps
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    names = ("real", f"generated, {options.evaluations} evaluations")
    options.out.write_bytes(draw(real, fake, gradient, SETTINGS.k, names))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
