"""Judges features whose images are at hand as files: against other files, or a stored reference."""

from collections.abc import Callable

import numpy as np

from evaluation.config import EvaluationConfig
from evaluation.floors import Drawn, by_name, equal_size
from evaluation.frechet import frechet_from_features
from evaluation.judge import against_reference, jsonable, with_floors
from evaluation.measures import measure
from evaluation.real_side import RealSide
from evaluation.reference import Reference


def judge_features(
    generated: np.ndarray,
    real: np.ndarray,
    config: EvaluationConfig,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """All metrics of features [M, F] of generated images against [N, F] of real ones.

    In each of `floor_draws` random draws, n generated images are compared with n real ones, and n
    other real ones with the same, which is the floor. n = min(M, N // 2). `fd_full` compares all
    images of both sets, as clean-fid does.

    Args:
        config: `floor_draws`, `k`, `kid_subsets` and `kid_subset_size` are read.
        progress: called with (draws done, draws).

    Returns:
        A JSON-able dict {"metrics", "n", "num_generated", "num_real"}, the metrics as in
        `evaluation.judge.judge`. Raises ValueError with fewer than 2 generated or 4 real images.
    """
    n = min(len(generated), len(real) // 2)
    if n < 2:
        raise ValueError(
            f"{len(generated)} generated and {len(real)} real images: at least 2 and 4 are needed"
        )
    found: dict[str, list[dict[str, float]]] = {"model": [], "floor": []}
    for draw in range(config.floor_draws):
        order = np.random.default_rng([seed, draw, 0]).permutation(len(real))
        chosen = np.random.default_rng([seed, draw, 1]).choice(len(generated), n, replace=False)
        side = RealSide(real[np.sort(order[:n])], config.k)
        others = {"model": generated[np.sort(chosen)], "floor": real[np.sort(order[n : 2 * n])]}
        for which, features in others.items():
            found[which].append(measure(side, features, seed + draw, config))
        if progress is not None:
            progress(draw + 1, config.floor_draws)
    drawn: dict[str, Drawn] = {which: by_name(rows) for which, rows in found.items()}
    metrics = with_floors(drawn["model"], drawn["floor"])
    metrics["fd_full"] = {"value": frechet_from_features(real, generated)}
    return _result(metrics, n, len(generated), len(real))


def judge_against_reference(
    generated: np.ndarray,
    reference: Reference,
    config: EvaluationConfig,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """All metrics of features [M, F], made by the reference's extractor, as the stage evaluate has.

    `fd_train_full` compares all of them with the whole train split. Arguments and result are those
    of `judge_features`; progress is called with (measurements done, measurements).
    """
    n = equal_size(len(generated), len(reference.train_features), len(reference.held_out_features))
    total = 2 * config.floor_draws

    def report(done: int) -> None:
        if progress is not None:
            progress(done, total)

    metrics, _ = against_reference(generated, reference, config, n, seed, None, report)
    return _result(metrics, n, len(generated), len(reference.train_features))


def _result(metrics: dict[str, dict], n: int, num_generated: int, num_real: int) -> dict:
    return {
        "metrics": {name: jsonable(entry) for name, entry in metrics.items()},
        "n": n,
        "num_generated": num_generated,
        "num_real": num_real,
    }
