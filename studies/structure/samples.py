"""Draws images of each arm side by side, with the same seeds and labels, beside real ones."""

from pathlib import Path

import numpy as np
from PIL import Image

from dataset.store import ImageDataset
from evaluation.pictures import sample_grid
from models.weights import load_description
from pipelines.reporting.figures import new_figure, png
from sampling.labels import generation_labels
from studies.batch_graph import matching_rows
from studies.judged_images import GENERATION_SEED, SHOWN_IMAGES
from studies.structure.images import Question, picture_of


def draw_samples(
    asked: list[Question],
    kimg: float,
    sampler: str,
    judged: int,
    dataset: ImageDataset,
    folder: Path,
    path: Path,
) -> None:
    """Write a PNG with panels of real held-out images, of the start and of each arm.

    Arms are shown at `kimg` of the first seed. All panels have the same labels, and the generated
    ones the same noise and sampler.

    Args:
        asked: the judged sets of `judged` images each; their pictures are in `folder`.
        dataset: the real images.
        path: of the PNG to write.
    """
    seed = min(question.seed for question in asked if question.arm != "start")
    chosen = [
        question
        for question in asked
        if question.sampler == sampler
        and (question.arm == "start" or (question.seed, question.kimg) == (seed, kimg))
    ]
    conditional = load_description(Path(chosen[0].weights))["num_classes"] > 0
    count = min(SHOWN_IMAGES, judged)
    labels = generation_labels(dataset, GENERATION_SEED, count, conditional=conditional)
    held_out = np.asarray(dataset.held_out_indices)
    rows = held_out[matching_rows(np.asarray(dataset.labels)[held_out], labels)]
    sheets = [("real, held out", sample_grid(np.asarray(dataset.images[rows])))]
    for question in chosen:
        title = "warm start" if question.arm == "start" else question.arm
        sheets.append((title, Image.open(picture_of(folder, question))))
    figure = new_figure((3.2 * len(sheets), 3.5))
    for axes, (title, sheet) in zip(figure.subplots(1, len(sheets)), sheets, strict=True):
        axes.imshow(sheet, interpolation="nearest")
        axes.set_title(title, fontsize=11)
        axes.axis("off")
    path.write_bytes(png(figure))
