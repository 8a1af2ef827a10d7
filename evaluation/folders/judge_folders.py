"""Judges a folder of image files: against another folder, or against a stored reference."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from evaluation.config import EvaluationConfig
from evaluation.folders.features import FolderFeatures, folder_features
from evaluation.folders.judge_features import judge_against_reference, judge_features
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
        not be read, by folder) and "seed". Raises ValueError where there are too few images.
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
    else:
        network = load_extractor(extractor, inception_path=config.inception_path)
        network.to("cuda" if torch.cuda.is_available() else "cpu")
        made, true = (_read(path, network, report) for path in (generated, real))
        result = judge_features(
            made.features, true.features, config, seed, partial(report, "metrics")
        )
        skipped = {str(generated): made.skipped, str(real): true.skipped}
    return result | {
        "metric_name": network.metric_name,
        "protocol": network.protocol(),
        "skipped": skipped,
        "seed": seed,
    }


def _read(path: Path, network: Extractor, report: Progress) -> FolderFeatures:
    return folder_features(path, network, partial(report, f"features of {path}"))
