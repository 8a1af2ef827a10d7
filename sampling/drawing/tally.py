"""Counts how often each image's denoiser is asked, where the number is not known before."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sampling.guidance.config import GuidanceConfig
from sampling.guidance.table import network_evaluations
from sampling.solvers.bound import Told

if TYPE_CHECKING:
    from torch import Tensor


class EvaluationTally:
    """Evaluations of each of `count` images.

    Args:
        count: images of the request.
        guidance: of its sampler, whose networks are counted too.
    """

    def __init__(self, count: int, guidance: Sequence[GuidanceConfig] = ()):
        self.guidance = guidance
        self.calls = np.zeros(count, np.int64)
        """Calls of the guided denoiser (NFE), [N]."""
        self.networks = np.zeros(count, np.int64)
        """Evaluations of networks, with those of guidance, [N]."""

    def batch(self, start: int, size: int) -> Told:
        """What a BoundDenoiser of images `start` to start + size - 1 is to tell."""

        def told(rows: "Tensor | None", sigma: "Tensor") -> None:
            places = np.arange(size) if rows is None else rows.cpu().numpy()
            levels = sigma.double().cpu().numpy() if self.guidance else np.ones(len(places))
            costs = {level: network_evaluations(self.guidance, level) for level in set(levels)}
            self.calls[start + places] += 1
            self.networks[start + places] += [costs[level] for level in levels]

        return told

    def put(self, start: int, calls: np.ndarray, networks: np.ndarray) -> None:
        """The counts of images from `start` on that another process has drawn."""
        self.calls[start : start + len(calls)] = calls
        self.networks[start : start + len(networks)] = networks

    def facts(self) -> dict[str, Any]:
        """Means of both counts, least and most calls, as metrics.json has them."""
        return {
            "nfe": round(float(self.calls.mean()), 3),
            "nfe_min": int(self.calls.min()),
            "nfe_max": int(self.calls.max()),
            "network_evaluations": round(float(self.networks.mean()), 3),
        }

    def words(self) -> str:
        """Such as "23.4 evaluations an image, 17 to 41"."""
        calls = self.calls
        return f"{calls.mean():.1f} evaluations an image, {calls.min()} to {calls.max()}"
