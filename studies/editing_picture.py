"""Draws what editing does in one picture: holes that are filled, and images at several strengths.

  python -m studies.editing_picture studies/assets/fashion_mnist_600kimg.safetensors

Held-out images of the data set, the first of each of `--classes`, which the denoiser was not
trained on: the image, the image with a hole, `--fills` inpaintings of it, and the image edited at
each of `--strengths`. The denoiser is told the image's class. The sampler is Heun in `--steps`
steps on the karras grid, and takes each step `--resample` times where it fills a hole.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dataset.store import ImageDataset
from evaluation.sheets.labelled import labelled_sheet
from pipelines.console.command import check_argument
from pipelines.console.progress import progress
from sampling.class_words import class_numbers
from sampling.config import SamplerConfig
from sampling.editing.edit import RESAMPLE
from sampling.editing.wanted import wanted_edit
from sampling.request import GenerationRequest

if TYPE_CHECKING:
    from models.denoiser import Denoiser

CLASSES = "Pullover,Dress,Sneaker,Bag,Ankle boot"
STRENGTHS = "0.2,0.4,0.6,0.8"
HOLE = (224, 148, 74)
"""Colour of the hole, which no grey image has."""
SEED = 0


@dataclass(frozen=True)
class Asked:
    """What is drawn of each image."""

    fills: int
    strengths: tuple[float, ...]
    steps: int
    resample: int

    def columns(self) -> list[str]:
        """The names of the columns."""
        fills = [f"filled {number}" for number in range(1, self.fills + 1)]
        return ["image", "hole", *fills, *(f"strength {strength}" for strength in self.strengths)]


def hole(number: int, size: int) -> np.ndarray:
    """The mask of an image by its number, bool [size, size]: right half, lower half, middle."""
    mask = np.zeros((size, size), bool)
    half, quarter = size // 2, size // 4
    places = (np.s_[:, half:], np.s_[half:, :], np.s_[quarter:-quarter, quarter:-quarter])
    mask[places[number % len(places)]] = True
    return mask


def row(
    denoiser: "Denoiser", picture: np.ndarray, mask: np.ndarray, label: int, asked: Asked
) -> np.ndarray:
    """The pictures of one image, uint8 [K, H, W, 3]."""
    from sampling.from_weights import generate_pictures

    def drawn(count: int, **edit) -> list[np.ndarray]:
        request = GenerationRequest(
            sampler=SamplerConfig(steps=asked.steps),
            seed=SEED,
            indices=range(count),
            labels=np.full(count, label if denoiser.num_classes else -1),
            edit=wanted_edit(denoiser.codec, denoiser.image_shape, picture, **edit),
        )
        return list(_coloured(generate_pictures(denoiser, request)))

    real = _coloured(picture[None])[0]
    pierced = np.where(mask[:, :, None], np.array(HOLE, np.uint8), real)
    fills = drawn(asked.fills, mask=mask, resample=asked.resample)
    edited = [drawn(1, strength=strength)[0] for strength in asked.strengths]
    return np.stack([real, pierced, *fills, *edited])


def sheet(
    denoiser: "Denoiser", dataset: ImageDataset, classes: list[int], asked: Asked
) -> Image.Image:
    """A row for each class. Raises ValueError for a class without a held-out image."""
    rows = []
    with progress("editing: images", len(classes)) as report:
        for number, label in enumerate(classes):
            found = dataset.held_out_indices[dataset.labels[dataset.held_out_indices] == label]
            if not len(found):
                raise ValueError(f"class {label} has no held-out image: leave it out of --classes")
            picture = np.asarray(dataset.images[found[0]])
            rows.append(row(denoiser, picture, hole(number, len(picture)), label, asked))
            report(number + 1)
    names = [dataset.label_names[label] for label in classes]
    return labelled_sheet(np.stack(rows), names, asked.columns(), "held-out images, edited")


def _coloured(pictures: np.ndarray) -> np.ndarray:
    """[N, H, W, 1 or 3] -> [N, H, W, 3]."""
    return np.broadcast_to(pictures, (*pictures.shape[:3], 3))


def main(arguments: list[str] | None = None) -> None:
    """Edit, draw, save."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.editing_picture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("weights", type=Path, help="weights file (.safetensors)")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--classes", default=CLASSES, help="by name (default: %(default)s)")
    add("--strengths", default=STRENGTHS, help="(default: %(default)s)")
    add("--fills", type=int, default=3, help="of each hole (default: %(default)s)")
    add("--steps", type=int, default=18, help="of the sampler (default: %(default)s)")
    add("--resample", type=int, default=RESAMPLE, help="(default: %(default)s)")
    add("--out", type=Path, default=Path("reports/studies/editing.png"), metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        check_argument("--fills", options.fills, 1, 16, "more cannot be seen")
        check_argument("--steps", options.steps, 1, 1000, "more change no image")
        strengths = tuple(float(word) for word in options.strengths.split(","))
        from models.denoiser import load_denoiser  # needs torch

        dataset = ImageDataset(options.dataset)
        classes = class_numbers(
            options.classes.split(","), dataset.label_names, dataset.num_classes
        )
        asked = Asked(options.fills, strengths, options.steps, options.resample)
        picture = sheet(load_denoiser(options.weights), dataset, classes, asked)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(options.out, optimize=True)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
