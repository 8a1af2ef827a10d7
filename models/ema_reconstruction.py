"""Averages of any EMA length, made from snapshots of two (EDM2, section 3.2)."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from foundation.number_names import number_name
from models.layers.low_rank_adapter import merge_adapter, with_named_adapters
from models.power_ema import posthoc_coefficients, posthoc_profile_error
from models.weights import WeightsError, load_tensors


def snapshot_name(nimg: int, sigma_rel: float) -> str:
    """File name of one length's average after `nimg` images; names sort by time."""
    return f"{nimg:012d}-{number_name(sigma_rel)}.safetensors"


def list_snapshots(folder: Path) -> list[tuple[int, float, Path]]:
    """(nimg, sigma_rel, path) of every snapshot, in the order of posthoc_coefficients.

    Raises WeightsError if there is none, if a length is missing at some time, or if a file has
    another name.
    """
    found = []
    for path in sorted(Path(folder).glob("*.safetensors")):
        nimg, _, sigma_rel = path.stem.partition("-")
        try:
            found.append((int(nimg), float(sigma_rel), path))
        except ValueError:
            raise WeightsError(f"{path} is not named as snapshots are: move it away") from None
    found.sort()
    times = sorted({nimg for nimg, _, _ in found})
    lengths = sorted({sigma_rel for _, sigma_rel, _ in found})
    if not found:
        raise WeightsError(f"{folder} holds no snapshots: run the train stage first")
    if len(found) != len(times) * len(lengths):
        raise WeightsError(
            f"{folder}: some snapshots lack one of the EMA lengths {lengths}: "
            "run the train stage again"
        )
    return found


def reconstruct(
    folder: Path, lengths: tuple[float, ...], progress: Callable[[int], None] = lambda done: None
) -> tuple[dict[float, dict[str, Tensor]], dict, dict[float, float]]:
    """Averages of the wanted lengths at the last snapshot's time (EDM2, section 3.2).

    Streams one snapshot at a time: memory holds one snapshot and one sum per length. Returns
    tensors per length, the network's description, and each profile's relative error. An adapter
    that the description names under "merge" is averaged as the weights are, then merged into them.
    """
    found = list_snapshots(folder)
    times = sorted({nimg for nimg, _, _ in found})
    tracked = sorted({sigma_rel for _, sigma_rel, _ in found})
    weights = {s: posthoc_coefficients(times, tracked, times[-1], s) for s in lengths}
    errors = {s: posthoc_profile_error(times, tracked, times[-1], s) for s in lengths}
    sums: dict[float, dict[str, Tensor]] = {s: {} for s in lengths}
    for position, (_, _, path) in enumerate(found):
        tensors, description = load_tensors(path)
        tensors = with_named_adapters(tensors)
        try:
            constants = {n: tensors[n] for n in description["constants"]}
        except (KeyError, TypeError) as error:
            raise WeightsError(
                f"{path.with_suffix('.json')} does not describe a snapshot (constants: {error}): "
                "run the train stage again"
            ) from error
        for length in lengths:
            # signed weights amplify rounding, so the sum is kept in fp64
            weight = float(weights[length][position])
            for name in tensors.keys() - constants.keys():
                total = sums[length].setdefault(
                    name, torch.zeros(tensors[name].shape, dtype=torch.float64)
                )
                total.add_(tensors[name].double(), alpha=weight)
        progress(position + 1)
    out = {s: {n: t.float() for n, t in sums[s].items()} | constants for s in lengths}
    for length in lengths:
        for name in sums[length]:
            if not out[length][name].isfinite().all():
                raise WeightsError(f"{folder}: the average of length {length:g} is not finite")
    adapter = description.pop("merge", None)
    if adapter is not None:
        try:
            out = {s: merge_adapter(tensors, str(adapter)) for s, tensors in out.items()}
        except (RuntimeError, ValueError) as error:
            raise WeightsError(f"{folder}: {error}: run the train stage again") from error
    description.pop("sigma_rel", None)
    return out, description, errors
