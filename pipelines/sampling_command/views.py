"""Sheets that show how images come about: over the steps, between two numbers, over EMA lengths.

They take any loaded denoiser and a request. They bring torch, so the command imports this module
when it draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.pictures import sample_grid
from evaluation.sheets.fonts import fonts_for
from evaluation.sheets.labelled import labelled_sheet
from models.denoiser import Denoiser, load_denoiser
from sampling.from_weights import generate_pictures, make_guides
from sampling.interpolation import interpolate
from sampling.request import GenerationRequest
from sampling.trajectory import trajectory

Report = Callable[[int, int | None], None]


@dataclass(frozen=True)
class View:
    """A sheet and the arrays that it shows."""

    sheet: Image.Image
    arrays: dict[str, np.ndarray]
    """`images` uint8 [rows, columns, H, W, C], and what its rows and columns are."""


def trajectory_view(denoiser: Denoiser, request: GenerationRequest, most: int) -> View:
    """Two rows an image: the noisy state and the denoised prediction at `most` noise levels.

    States are shown at the spread of data, since noise of sigma 80 would be black and white alone.
    """
    way = trajectory(denoiser, request, most, guide=make_guides(denoiser, request))
    levels, count = way.states.shape[:2]

    def pictures(images) -> np.ndarray:  # [S, N, C, H, W] -> uint8 [N, S, H, W, C]
        decoded = denoiser.codec.decode(images.flatten(0, 1))
        return decoded.reshape(levels, count, *decoded.shape[1:]).swapaxes(0, 1)

    noisy, expected = pictures(way.scaled_states()), pictures(way.denoised)
    images = np.stack([noisy, expected], axis=1).reshape(2 * count, *noisy.shape[1:])
    sheet = labelled_sheet(
        images,
        ["noisy", "denoised"] * count,
        [sigma_name(sigma) for sigma in way.sigmas],
        "noise level sigma",
        _image_names(request, denoiser.label_names),
    )
    arrays = {
        "images": images,
        "states": way.states.numpy(),
        "denoised": way.denoised.numpy(),
        "sigmas": np.asarray(way.sigmas),
    }
    return View(sheet, arrays | _which(request))


def interpolation_view(
    denoiser: Denoiser,
    request: GenerationRequest,
    ends: tuple[int, int],
    frames: int,
    report: Report | None = None,
) -> View:
    """A row for each label of the request; columns from the noise of one number to the other's."""
    rows = []
    guides = make_guides(denoiser, request)
    labels = request.labels.tolist()
    for row in interpolate(denoiser, request, ends, frames, guide=guides):
        rows.append(denoiser.codec.decode(row))
        if report is not None:
            report(len(rows), len(labels))
    positions = np.linspace(0, 1, frames)
    images = np.stack(rows)
    sheet = labelled_sheet(
        images,
        [class_name(label, denoiser.label_names) for label in labels],
        [f"{position:.3g}" for position in positions],
        f"position from the noise of image {ends[0]} (0) to that of image {ends[1]} (1)",
    )
    arrays = {"images": images, "labels": request.labels, "positions": positions}
    return View(sheet, arrays | {"seeds": np.asarray(ends)})


def frames_of(view: View) -> list[Image.Image]:
    """The columns of an interpolation as pictures of their own, for an animation."""
    return [sample_grid(column) for column in view.arrays["images"].swapaxes(0, 1)]


def lengths_view(
    files: Sequence[tuple[float, Path]],
    request: GenerationRequest,
    device: str,
    report: Report | None = None,
) -> View:
    """A row for each image of the request, a column for each EMA length.

    files: of `files_by_length`. All columns begin at the same noise.
    """
    columns, names = [], None
    for number, (_, path) in enumerate(files):
        denoiser = load_denoiser(path, device)
        columns.append(generate_pictures(denoiser, replace(request, weights=str(path))))
        names = denoiser.label_names
        if report is not None:
            report(number + 1, len(files))
    images = np.stack(columns, axis=1)
    lengths = [length for length, _ in files]
    rows = [name.replace("\n", ", ") for name in _image_names(request, names or ())]
    sheet = labelled_sheet(
        images, rows, [f"{length:g}" for length in lengths], "EMA length sigma_rel"
    )
    return View(sheet, {"images": images, "lengths": np.asarray(lengths), **_which(request)})


def sigma_name(sigma: float) -> str:
    """A noise level in two digits, without an exponent: 80, 5.3, 0.002; whole from 100 on."""
    digits = max(2, len(str(int(sigma))))
    return np.format_float_positional(sigma, precision=digits, fractional=False, trim="-")


def class_name(label: int, names: Sequence[str]) -> str:
    """The name of a class, or "class 3" where it has a number for a name; "no class" for -1.

    A name in letters that no font of this machine has gives way to the number too.
    """
    if label < 0:
        return "no class"
    name = names[label] if label < len(names) else str(label)
    if name.isdecimal() or fonts_for([name], 12)[0] is None:
        return f"class {name if name.isdecimal() else label}"
    return name if len(name) <= 18 else name[:17] + "…"


def _image_names(request: GenerationRequest, names: Sequence[str]) -> list[str]:
    labels = request.labels.tolist()
    return [
        f"image {index}" + (f"\n{class_name(label, names)}" if label >= 0 else "")
        for index, label in zip(request.indices, labels, strict=True)
    ]


def _which(request: GenerationRequest) -> dict[str, np.ndarray]:
    return {"labels": request.labels, "seeds": np.asarray(request.indices)}
