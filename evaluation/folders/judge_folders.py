"""Judges a folder of image files: against another folder, or against a stored reference."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from evaluation.config import EvaluationConfig
from evaluation.folders.features import FolderFeatures, folder_features
from evaluation.folders.judge_features import judge_against_reference, judge_features
from evaluation.judge import bias_note
from evaluation.reference import load_reference
from models.extractors.base import Extractor
from models.extractors.load import load_extractor

Progress = Callable[[str, int, int], None]
"""Called with (what is done, done, total)."""


def judge_folders(
    generated: str | Path,
    real: str | Path,
    *,
    extractor: str = "efficientnet_lite0",
    config: EvaluationConfig | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict:
    """The metrics of a folder or zip of generated images, each beside its real-versus-real floor.

    Args:
        real: a folder or zip of real images; or a folder that the stage reference has written.
        extractor: efficientnet_lite0, or inception (`config.inception_path` names its file). A
            reference has an extractor of its own.
        config: settings of the metrics; None: the defaults.
        seed: of the random draws.

    Returns:
        A JSON-able dict: "metrics" (see `evaluation.judge.judge`), "n" images on either side in a
        draw, "num_generated", "num_real", "metric_name", "protocol", "skipped" (files that could
        not be read, by folder), "notes" (what a reader must know) and "seed". Raises
        ValueError where there are too few images.
    """
    config = config or EvaluationConfig()
    generated, real = Path(generated), Path(real)
    for path in (generated, real):
        if not path.exists():
            raise ValueError(f"{path} does not exist: name a folder or a zip of images")
    report = progress or (lambda what, done, total: None)
    if (real / "reference.json").is_file():
        reference = load_reference(real, config.inception_path)
        made = _read(generated, reference.extractor, report)
        result = judge_against_reference(
            made.features, reference, config, seed, partial(report, "metrics")
        )
        network, skipped = reference.extractor, {str(generated): made.skipped}
        sizes = made.sizes, made.sizes  # of the reference's images the size is not known
    else:
        network = load_extractor(extractor, inception_path=config.inception_path)
        network.to("cuda" if torch.cuda.is_available() else "cpu")
        made, true = (_read(path, network, report) for path in (generated, real))
        result = judge_features(
            made.features, true.features, config, seed, partial(report, "metrics")
        )
        skipped = {str(generated): made.skipped, str(real): true.skipped}
        sizes = made.sizes, true.sizes
    return result | {
        "metric_name": network.metric_name,
        "protocol": network.protocol(),
        "skipped": skipped,
        "notes": _notes(result["n"], network.num_features, *sizes),
        "seed": seed,
    }


def _notes(
    n: int, num_features: int, made: set[tuple[int, int]], true: set[tuple[int, int]]
) -> list[str]:
    """What a reader must know of these numbers; made, true: (width, height) of the images."""
    notes = []
    if made != true:
        notes.append(
            f"the generated images are {_size(made)} and the real ones {_size(true)}: the metrics "
            "also measure that difference in sharpness; compare images of the same resolution"
        )
    if n <= num_features:
        notes.append(bias_note(n, num_features))
    return notes


def _size(sizes: set[tuple[int, int]]) -> str:
    """Words for widths and heights: "16x16", "16x16 to 640x480"."""
    ordered = [f"{wide}x{high}" for wide, high in sorted(sizes, key=lambda s: (s[0] * s[1], s))]
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _read(path: Path, network: Extractor, report: Progress) -> FolderFeatures:
    return folder_features(path, network, partial(report, f"features of {path}"))
