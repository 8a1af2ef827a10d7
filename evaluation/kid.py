"""Kernel distance between two sets of features, unbiased at any sample size."""

import numpy as np


def kernel_distance(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    subsets: int = 100,
    subset_size: int = 100,
    seed: int = 0,
) -> dict[str, float]:
    """KID of Binkowski et al. (2018): squared MMD with the kernel (x.y / F + 1)^3, unbiased.

    It is averaged over random subsets of both sets, drawn without replacement. A value can be
    slightly below 0, since estimates of 0 scatter around it.

    Args:
        real, generated: [N, F] and [M, F].
        subsets: number of subsets.
        subset_size: at least 2; reduced to min(N, M) if that is smaller.

    Returns:
        {"value", "std" over subsets, "subset_size" that was used}. Raises ValueError for fewer than
        2 images or different F.
    """
    size = min(subset_size, len(real), len(generated))
    if size < 2:
        raise ValueError(
            f"KID needs at least 2 images on either side, got {len(real)} and {len(generated)}"
        )
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"KID: feature sizes differ: {real.shape} and {generated.shape}")
    generator = np.random.default_rng(seed)
    values = np.empty(subsets)
    for i in range(subsets):
        x = real[generator.choice(len(real), size, replace=False)].astype(np.float64)
        y = generated[generator.choice(len(generated), size, replace=False)].astype(np.float64)
        values[i] = _squared_mmd(x, y)
    return {"value": float(values.mean()), "std": float(values.std()), "subset_size": size}


def _squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased estimate (Gretton et al. 2012, Lemma 6) for x, y [m, F]."""
    m, f = x.shape
    xx, yy, xy = ((a @ b.T / f + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (m * (m - 1))
    return within - 2 * xy.sum() / m**2
