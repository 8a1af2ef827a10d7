"""Moves features along the gradient of a frozen discriminator, for studies/teacher.py."""

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dataset.slots import GroupPools, unpaired_batch
from discriminators.bank import Bank
from evaluation.manifold import structure_metrics
from models.neighbours import nearest_in
from pipelines.console.progress import progress
from studies.discriminator_accuracy import (
    TEST_BATCHES,
    Material,
    Set,
    batches,
    halves,
    material,
    opened,
)
from training.structure.opponent import Opponent

COLUMNS = {
    "accuracy": "accuracy",
    "cosine": "cosine with the way back",
    "lid_ratio": "dimension ratio",
    "coverage": "coverage",
}
"""Columns of the table, and their titles."""
NOISE_STREAM = 50_000
NEIGHBOURS = 5


class RandomBank(Bank):
    """A bank whose neighbours are points drawn at random: edges that mean nothing."""

    @torch.no_grad()
    def nearest(self, queries: Tensor, k: int) -> Tensor:
        return torch.randint(len(self), (len(queries), min(k, len(self))))


def smeared(clean: Set, noise: float, seed: int) -> tuple[Set, Tensor]:
    """Features with `noise` standard deviations of their own covariance's shape, and that noise."""
    features, labels = clean
    centred = features - features.mean(0)
    generator = torch.Generator().manual_seed(NOISE_STREAM + seed)
    mixing = torch.randn(len(features), len(features), generator=generator)
    added = noise * (mixing @ centred) / len(features) ** 0.5  # its covariance is that of `clean`
    return (features + added, labels), added


def gradient(opponent: Opponent, real: Set, fake: Set, size: int, seed: int) -> Tensor:
    """-dL_G/df [N, F] of all fakes, batch by batch; each batch's is scaled to mean square length 1.

    The last batch takes rows of the first ones too, so that all batches are of one size.
    """
    features, labels = fake
    pools, found = GroupPools(real[1].numpy()), torch.zeros_like(features)
    for start in range(0, len(features), size):
        rows = torch.arange(start, start + size) % len(features)
        drawn = torch.from_numpy(unpaired_batch(seed, pools, labels[rows].numpy(), start))
        leaf = features[rows].clone().requires_grad_()
        loss = opponent.form.loss_g(real[0][drawn], leaf, labels[rows])
        (slope,) = torch.autograd.grad(loss, leaf)
        length = slope.square().sum(1).mean().sqrt()
        found[rows] = -slope / length.clamp_min(torch.finfo(slope.dtype).tiny)
    return found


def followed(
    opponent: Opponent, real: Set, fake: Set, size: int, seed: int, moves: int, length: float
) -> Tensor:
    """The features [N, F] after `moves` steps of `length` in all along the gradient."""
    features, labels = fake
    for _ in range(moves):
        features = features + length / moves * gradient(
            opponent, real, (features, labels), size, seed
        )
    return features


def run(options: argparse.Namespace) -> pd.DataFrame:
    """The whole study; a row for each kind, seed and sort of images, and rows of the floor."""
    given = material(options)
    rows: list[dict] = []
    total, done = len(options.kinds) * len(options.seeds) * 2, 0
    with progress("teacher: followed", total) as report:
        for seed in options.seeds:
            for subject in ("smeared", "generated"):
                rows += list(_unmoved(given, options, seed, subject))
                for kind in options.kinds:
                    rows.append(_row(given, options, seed, subject, kind))
                    report(done := done + 1)
    return pd.DataFrame(rows)


def _sets(
    given: Material, noise: float, seed: int, subject: str
) -> tuple[tuple[Set, Set], Set, Set, Set, Tensor | None]:
    """(train real and fake), test real, floor, test fake, and what was added to it."""
    judged, floor = halves(given.held_out)
    if subject == "generated":
        return (given.learned, given.train_fake), judged, floor, given.test_fake, None
    own, others = halves(given.learned)
    fake, added = smeared(floor, noise, seed)
    return (own, smeared(others, noise, seed + 1)[0]), judged, floor, fake, added


def _measured(real: Set, features: Tensor) -> dict[str, float | str]:
    n = min(len(real[0]), len(features))  # the metrics depend on the number of images
    found = structure_metrics(real[0][:n].numpy(), features[:n].numpy(), NEIGHBOURS)
    return {
        "lid_ratio": found["lid_generated"] / found["lid_real"],
        "coverage": found["coverage"],
    }


def _unmoved(
    given: Material, options: argparse.Namespace, seed: int, subject: str
) -> Iterator[dict[str, float | str]]:
    _, judged, floor, fake, _ = _sets(given, options.noise, seed, subject)
    for kind, features in (("real images (floor)", floor[0]), ("nothing", fake[0])):
        row: dict[str, float | str] = {"subject": subject, "kind": kind, "seed": seed}
        yield row | _measured(judged, features)


def _row(
    given: Material, options: argparse.Namespace, seed: int, subject: str, kind: str
) -> dict[str, float | str]:
    """Train, freeze, follow: the measures of one form on one sort of images."""
    torch.manual_seed(seed)  # of the random neighbours
    train, judged, _, fake, added = _sets(given, options.noise, seed, subject)
    config = given.config.model_copy(update={"kind": "bank" if kind == "random" else kind})
    bank = Bank.of(*given.bank)
    if kind == "random":
        bank = RandomBank(bank.features, bank.groups, bank.unit)
    opponent, train = opened(config, train, given.size, seed, bank)
    row: dict[str, float | str] = {"subject": subject, "kind": kind, "seed": seed}
    if opponent.form.trained:
        source = batches(*train, given.size, seed, "train")
        for _ in range(options.steps):
            opponent.step(*next(source))
        unseen = batches(judged, fake, given.size, seed, "test")
        tried = [opponent.step(*next(unseen), train=False) for _ in range(TEST_BATCHES)]
        row["accuracy"] = float(np.mean([report["accuracy"] for report in tried]))
    if added is not None:
        back = gradient(opponent, judged, fake, given.size, seed)
        row["cosine"] = float(torch.nn.functional.cosine_similarity(back, -added, dim=1).mean())
        unit = float(added.square().sum(1).mean().sqrt())
    else:
        index = nearest_in(fake[0], judged[0], 1)[:, 0]
        unit = float((fake[0] - judged[0][index]).square().sum(1).sqrt().mean())
    moved = followed(opponent, judged, fake, given.size, seed, options.moves, options.length * unit)
    return row | _measured(judged, moved)
