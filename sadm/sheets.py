"""Sheets that show how images come about, as `python -m pipelines.sample` writes them."""

from collections.abc import Sequence, Sized
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from models.denoiser import Denoiser
from models.weights_folder import files_by_length
from pipelines.sampling_command import views
from sadm.pictures import asked, wanted_classes
from sampling.config import SamplerConfig


def trajectory_sheet(
    denoiser: Denoiser | str | Path,
    numbers: Sequence[int] = (0, 1, 2),
    *,
    sampler: SamplerConfig | None = None,
    seed: int = 0,
    labels: Sequence[int | str] | None = None,
    prompts: str | Sequence[str] | None = None,
    columns: int = 10,
) -> Image.Image:
    """Noisy states and denoised predictions of some pictures, at most `columns` noise levels.

    For the other arguments see `sadm.generate`.
    """
    loaded, request = asked(denoiser, numbers, sampler, seed, labels, prompts=prompts)
    return views.trajectory_view(loaded, request, columns).sheet


def interpolation_sheet(
    denoiser: Denoiser | str | Path,
    first: int,
    last: int,
    *,
    frames: int = 9,
    sampler: SamplerConfig | None = None,
    seed: int = 0,
    labels: Sequence[int | str] = (),
    prompts: str | Sequence[str] | None = None,
) -> Image.Image:
    """Pictures between the numbers `first` and `last`, a row for each label or prompt.

    Without either, a row for each class.

    Raises ValueError for a sampler that adds fresh noise. For the other arguments see
    `sadm.generate`.
    """
    given = None if isinstance(labels, Sized) and not len(labels) else labels
    loaded, request = asked(denoiser, (first, last), sampler, seed, given, prompts=prompts)
    rows = wanted_classes(loaded, given)
    request = replace(request, indices=range(len(rows)), labels=np.asarray(rows, np.int64))
    return views.interpolation_view(loaded, request, (first, last), frames).sheet


def lengths_sheet(
    folder: str | Path,
    numbers: Sequence[int] = range(8),
    *,
    sampler: SamplerConfig | None = None,
    seed: int = 0,
    labels: Sequence[int | str] | None = None,
    prompts: str | Sequence[str] | None = None,
    device: str = "cpu",
) -> Image.Image:
    """The same pictures by each EMA length in a folder such as outputs/ema, a column each.

    For the other arguments see `sadm.generate`.
    """
    files = files_by_length(Path(folder))
    _, request = asked(files[0][1], numbers, sampler, seed, labels, prompts=prompts)
    return views.lengths_view(files, request, device).sheet
