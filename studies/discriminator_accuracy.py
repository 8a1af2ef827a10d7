"""Trains discriminators of the study, and measures them on images that they never learned from."""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dataset.distinct import first_of_each, pixel_keys
from dataset.slots import GroupPools, slot_indices, unpaired_batch
from dataset.store import ImageDataset
from discriminators.bank import Bank
from evaluation.manifold import structure_metrics
from evaluation.metric_table import metric_entry
from foundation.number_names import number_name
from foundation.workers import World
from models.denoiser import load_denoiser
from pipelines.console.progress import progress
from pipelines.params import load_params
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


def opened(
    config: StructureConfig, train: tuple[Set, Set], size: int, seed: int, bank: Bank
) -> tuple[Opponent, tuple[Set, Set]]:
    """An opponent beside its bank, and the sets that are left for it to learn from.

    One that looks into a bank of fakes gets half of those to train on.
    """
    (real, _), _ = train
    opponent = Opponent(config, real.shape[1], real, World(), seed)
    opponent.open(real[: config.statistics_images], size)
    if opponent.form.uses_bank:
        reals, fakes = bank, None
        if opponent.form.uses_fakes:
            others, own = halves(train[1])
            train = train[0], own
            count = min(len(reals), len(others[0]))
            fakes = reals.like(others[0][:count], others[1][:count])
            reals = reals.first(count)
        opponent.form.anchor(reals, fakes)
    return opponent, train


def accuracy_by_steps(
    config: StructureConfig,
    train: tuple[Set, Set],
    test: tuple[Set, Set],
    size: int,
    steps: list[int],
    seed: int,
    bank: Set,
) -> dict[int, float]:
    """Train one discriminator; returns {number of steps: accuracy on the test sets}.

    train, test: (real, fake). steps: when to measure. bank: real images of neither, for a form that
    looks into a bank.
    """
    opponent, train = opened(config, train, size, seed, Bank.of(*bank))
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


@dataclass(frozen=True)
class Material:
    """Features of real and generated images, in sets that share no picture."""

    config: StructureConfig
    size: int
    """Samples of each set in a batch."""
    learned: Set
    held_out: Set
    bank: Set
    train_fake: Set
    test_fake: Set


def material(options: argparse.Namespace) -> Material:
    """Draws the images and looks at all through Psi; prints what Psi shows of them."""
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
    apart = rng.permutation(dataset.train_indices)
    in_bank = apart[: min(config.bank_images, len(apart) // 2)]
    keys = pixel_keys(dataset.images, apart)
    learned = real_set(apart[~np.isin(keys, keys[: len(in_bank)])])  # nor copies of the bank's
    held_out = real_set(dataset.held_out_indices)
    stored, bank_labels = dataset.stored(in_bank)
    if not denoiser.num_classes:
        bank_labels = torch.full_like(bank_labels, -1)
    bank = features_of(psi, denoiser.codec.encode(stored)), bank_labels
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
    size = config.batch_size or params.train.batch_size
    return Material(config, size, learned, held_out, bank, train_fake, test_fake)


def run(options: argparse.Namespace) -> pd.DataFrame:
    """The whole study; one row per kind, seed and number of steps."""
    given = material(options)
    config, learned, held_out = given.config, given.learned, given.held_out
    train_fake, test_fake = given.train_fake, given.test_fake
    subjects = {
        "generated": ((learned, train_fake), (held_out, test_fake)),
        "real images (floor)": (halves(learned), halves(held_out)),
    }
    steps = sorted({round(options.steps * share / 12) for share in range(13)})
    rows, total, done = [], len(options.kinds) * len(options.seeds) * len(subjects), 0
    with progress("discriminator: trained", total) as report:
        for kind in options.kinds:
            own = config.model_copy(update={"kind": kind})
            for seed in options.seeds:
                for subject, (train, test) in subjects.items():
                    found = accuracy_by_steps(own, train, test, given.size, steps, seed, given.bank)
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
