"""Frechet distance from means and covariances of 2,048 features, beside clean-fid's."""

from collections.abc import Iterator

import numpy as np
from cleanfid.fid import frechet_distance as cleanfid_distance

from benchmarks.side_by_side import Row, compared, side_by_side
from evaluation.frechet import feature_statistics, frechet_distance, frechet_from_features

FEATURES, AIM, ROUNDS = 2048, 0.2, 3
IMAGES = {"full rank": 5000, "rank below the features": 1000}


def rows() -> Iterator[Row]:
    """One row for each rank, with the difference from a distance computed in another way."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(FEATURES, FEATURES)) * np.exp(-4 * np.linspace(0, 1, FEATURES))
    for which, images in IMAGES.items():
        one, other = (
            (rng.normal(size=(images, FEATURES)) @ mixing.T * scale).astype(np.float32)
            for scale in (1.0, 1.1)
        )
        statistics = (*feature_statistics(one), *feature_statistics(other))
        taken = side_by_side(
            {
                "ours": lambda parts=statistics: frechet_distance(*parts),
                "theirs": lambda parts=statistics: cleanfid_distance(*parts),
            },
            ROUNDS,
        )
        if images > FEATURES:
            expected, source = float(cleanfid_distance(*statistics)), "clean-fid"
        else:  # there a matrix square root loses digits; the features themselves are a root
            expected, source = frechet_from_features(one, other), "the features' own roots"
        difference = abs(frechet_distance(*statistics) / expected - 1)
        note = f"relative difference from {source} {difference:.0e}"
        yield compared(
            f"{FEATURES:,} features, {which}",
            taken["ours"],
            "clean-fid",
            taken["theirs"],
            AIM,
            note,
        )
