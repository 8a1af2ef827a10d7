"""How well can a discriminator tell generated from real images, when it alone learns?

  python -m studies.discriminator outputs/ema/0.1.safetensors --sampler fast8
  python -m studies.discriminator WEIGHTS --sampler fast8 --kinds graph,per_sample --steps 600

For each kind it measures the accuracy (area under the ROC curve; 0.5 is chance) on real and
generated images that it never learned from, against its number of steps, with the settings of
`structure` (Psi, batch, k, gamma, lr). The floor is the same with other real images instead of
generated ones; a discriminator can exceed 0.5 there only if something leaks. Writes
discriminator.csv and discriminator.png.

First it prints what Psi shows: metrics of local structure in its features, for each of
`structure.feature_sigmas` alone and for all of them. If generated images look like real ones in
Psi, a discriminator has nothing to learn.
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dataset.distinct import first_of_each, pixel_keys
from dataset.slots import GroupPools, slot_indices, unpaired_batch
from dataset.store import ImageDataset
from evaluation.manifold import structure_metrics
from evaluation.metric_table import metric_entry
from foundation.number_names import number_name
from foundation.workers import World
from models.denoiser import load_denoiser
from pipelines.console.command import check_argument, check_images
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.reporting.figures import COLOURS, INK, new_figure, png, style
from sampling.generate import generate
from sampling.labels import generation_labels
from studies.tables import markdown
from training.structure.config import StructureConfig
from training.structure.features import DenoiserFeatures, Psi, make_psi
from training.structure.opponent import Opponent

GENERATION_SEED = 30_000
CHUNK = 256
TEST_BATCHES = 16
OWN_STREAM = {"train": 0, "test": 1000}  # added to the seed

Set = tuple[Tensor, Tensor]  # features [N, F], labels int64 [N]


def features_of(psi: Psi, images: Tensor) -> Tensor:
    """Psi's features [N, F] of images in data units, part by part."""
    with torch.no_grad():
        return torch.cat([psi(part) for part in images.split(CHUNK)])


def batches(
    real: Set, fake: Set, size: int, seed: int, stream: str
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Endless batches (real [size, F], fake [size, F], labels); reals have the labels of the fakes.

    Both are drawn without replacement, as in training: duplicates would give one of them away.
    """
    pools = GroupPools(real[1].numpy())
    for start in itertools.count(step=size):
        slots = range(start, start + size)
        rows = torch.from_numpy(slot_indices(seed + OWN_STREAM[stream], len(fake[0]), slots))
        labels = fake[1][rows]
        drawn = torch.from_numpy(unpaired_batch(seed, pools, labels.numpy(), start))
        yield real[0][drawn], fake[0][rows], labels


def accuracy_by_steps(
    config: StructureConfig,
    train: tuple[Set, Set],
    test: tuple[Set, Set],
    size: int,
    steps: list[int],
    seed: int,
) -> dict[int, float]:
    """Train one discriminator; returns {number of steps: accuracy on the test sets}.

    train, test: (real, fake). steps: when to measure.
    """
    (real, _), _ = train
    opponent = Opponent(config, real.shape[1], real, World(), seed)
    opponent.open(real[: config.statistics_images], size)
    found, source = {}, batches(*train, size, seed, "train")
    for step in range(max(steps) + 1):
        if step in steps:
            unseen = batches(*test, size, seed, "test")
            tried = [opponent.step(*next(unseen), train=False) for _ in range(TEST_BATCHES)]
            found[step] = float(np.mean([report["accuracy"] for report in tried]))
        opponent.step(*next(source))
    return found


def halves(one: Set) -> tuple[Set, Set]:
    """The even rows, and the odd rows."""
    return (one[0][::2], one[1][::2]), (one[0][1::2], one[1][1::2])


SEEN = ("knn_two_sample", "coverage", "recall", "lid_ratio")  # of evaluation/metric_table.py


def sight(
    real: Tensor, others: dict[str, Tensor], per_sigma: int, sigmas: Sequence[float]
) -> list[list[str]]:
    """Table rows of metrics of local structure: each noise level alone and all, each set of others.

    per_sigma: number of features of a noise level.
    """
    views = {
        number_name(sigma): slice(number * per_sigma, (number + 1) * per_sigma)
        for number, sigma in enumerate(sigmas)
    }
    if len(views) != 1:
        views["all"] = slice(None)
    rows = []
    for view, part in views.items():
        for name, features in others.items():
            found = structure_metrics(real[:, part].numpy(), features[:, part].numpy(), 5)
            found["lid_ratio"] = found["lid_generated"] / found["lid_real"]
            rows.append([view, name, *(f"{found[key]:.3f}" for key in SEEN)])
    return rows


def run(options: argparse.Namespace) -> pd.DataFrame:
    """The whole study; one row per kind, seed and number of steps."""
    params = load_params(options.params)
    config, sampler = params.structure, params.sampling[options.sampler]
    dataset, denoiser = ImageDataset(options.dataset), load_denoiser(options.weights)
    psi = make_psi(config, denoiser, dataset.image_shape)
    rng = np.random.default_rng(GENERATION_SEED)

    def real_set(indices: np.ndarray) -> Set:
        once = indices[first_of_each(pixel_keys(dataset.images, indices))]  # without copies
        chosen = rng.permutation(once)[: 2 * options.images]
        stored, labels = dataset.stored(chosen)
        images = denoiser.codec.encode(stored)
        if not denoiser.num_classes:
            labels = torch.full_like(labels, -1)
        return features_of(psi, images), labels

    some = rng.permutation(dataset.train_indices)[: config.statistics_images]
    statistics = denoiser.codec.encode(dataset.stored(some)[0])
    psi.standardise(statistics.split(CHUNK))
    learned, held_out = real_set(dataset.train_indices), real_set(dataset.held_out_indices)
    labels = torch.from_numpy(
        generation_labels(
            dataset, GENERATION_SEED, 2 * options.images, conditional=denoiser.num_classes > 0
        )
    )
    images = generate(
        denoiser, sampler, GENERATION_SEED, range(len(labels)), labels, batch_size=CHUNK
    )
    train_fake, test_fake = halves((features_of(psi, denoiser.codec.clip(images)), labels))
    sigmas = psi.network.sigmas if isinstance(psi.network, DenoiserFeatures) else ()
    (unseen, _), (floor, _) = halves(held_out)
    n = min(map(len, (unseen, floor, test_fake[0])))  # the metrics depend on the number of images
    shown = sight(
        unseen[:n],
        {"generated": test_fake[0][:n], "real images (floor)": floor[:n]},
        psi.num_features // max(1, len(sigmas)),
        sigmas,
    )
    titles = [metric_entry(key).title for key in SEEN]
    print(markdown(["Psi at sigma", "images", *titles], shown))
    subjects = {
        "generated": ((learned, train_fake), (held_out, test_fake)),
        "real images (floor)": (halves(learned), halves(held_out)),
    }
    size = config.batch_size or params.train.batch_size
    steps = sorted({round(options.steps * share / 12) for share in range(13)})
    rows, total, done = [], len(options.kinds) * len(options.seeds) * len(subjects), 0
    with progress("discriminator: trained", total) as report:
        for kind in options.kinds:
            own = config.model_copy(update={"kind": kind})
            for seed in options.seeds:
                for subject, (train, test) in subjects.items():
                    found = accuracy_by_steps(own, train, test, size, steps, seed)
                    rows += [
                        {
                            "kind": kind,
                            "subject": subject,
                            "seed": seed,
                            "steps": step,
                            "accuracy": value,
                        }
                        for step, value in found.items()
                    ]
                    report(done := done + 1)
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> bytes:
    """PNG of the mean accuracy against steps, with the range over seeds; floors are dashed."""
    figure = new_figure((6.4, 4.0))
    axes = figure.subplots()
    style(axes, "accuracy on images never learned from")
    for colour, (kind, own) in zip(COLOURS, table.groupby("kind", sort=False), strict=False):
        for subject, rows in own.groupby("subject", sort=False):
            by_steps = rows.groupby("steps").accuracy
            floor = subject != "generated"
            axes.plot(
                by_steps.mean(), "--" if floor else "-", color=colour, label=f"{kind}, {subject}"
            )
            axes.fill_between(
                by_steps.min().index,
                by_steps.min(),
                by_steps.max(),
                color=colour,
                alpha=0.08 if floor else 0.2,
            )
    axes.axhline(0.5, color=INK, linewidth=0.6)
    axes.set_xlabel("steps of the discriminator")
    axes.legend(fontsize=8)
    return png(figure)


def main(arguments: list[str] | None = None) -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.discriminator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("weights", type=Path, help="weights file (.safetensors)")
    add("--params", default="params.yaml", help="default: %(default)s")
    add("--sampler", required=True, help="a name under `sampling`")
    add("--kinds", default="graph,per_sample", help="default: %(default)s")
    add("--seeds", default="0,1,2", help="default: %(default)s")
    add("--steps", type=int, default=600, help="default: %(default)s")
    add("--images", type=int, default=2048, help="of each test set (default: %(default)s)")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--out", type=Path, default=Path("reports/studies/discriminator"), metavar="FOLDER")
    options = parser.parse_args(arguments)
    options.kinds = options.kinds.split(",")
    unknown = set(options.kinds) - {"graph", "per_sample"}
    if unknown:
        parser.error(f"--kinds {', '.join(unknown)}: the unpaired kinds are graph and per_sample")
    try:
        check_images("--images", options.images)
        check_argument("--steps", options.steps, 1, 10_000_000, "it has learned long before")
        options.seeds = [int(part) for part in options.seeds.split(",")]
        names = load_params(options.params).sampling
        if options.sampler not in names:
            parser.error(f"--sampler {options.sampler}: params name {', '.join(names)}")
        table = run(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / "discriminator.csv", index=False, float_format="%.4f")
    (options.out / "discriminator.png").write_bytes(draw(table))
    steps = sorted(table.steps.unique())
    lines = [
        [str(kind), str(subject), *(f"{mean[s]:.3f} ± {deviation[s]:.3f}" for s in steps)]
        for (kind, subject), rows in table.groupby(["kind", "subject"], sort=False)
        for mean, deviation in [
            (rows.groupby("steps").accuracy.mean(), rows.groupby("steps").accuracy.std())
        ]
    ]
    print(markdown(["discriminator", "tells real images from", *map(str, steps)], lines))
    print(f"wrote {options.out}/discriminator.csv and discriminator.png")


if __name__ == "__main__":
    main()
