"""Loads each network that gives features by its name in params.yaml."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foundation.did_you_mean import nearest_name
from models.extractors.base import Extractor, ExtractorError
from models.extractors.classifier import load_classifier
from models.extractors.imagenet import EfficientNetLite0, Inception

__all__ = ["EXTRACTORS", "Extractor", "ExtractorError", "load_extractor"]


@dataclass(frozen=True)
class Files:
    """Where the weights lie that come with no package."""

    inception: str | Path | None = None
    classifier: str | Path | None = None

    def trained_classifier(self) -> Path:
        """The classifier's file. Raises ExtractorError where none is named."""
        if self.classifier is None:
            raise ExtractorError(
                "extractor classifier is trained by the reference stage: run that first"
            )
        return Path(self.classifier)


EXTRACTORS: dict[str, Callable[[Files], Extractor]] = {
    "classifier": lambda files: load_classifier(files.trained_classifier()),
    "efficientnet_lite0": lambda files: EfficientNetLite0(),
    "inception": lambda files: Inception(files.inception),
}


def load_extractor(
    name: str,
    *,
    inception_path: str | Path | None = None,
    classifier_path: str | Path | None = None,
) -> Extractor:
    """A frozen extractor in evaluation mode. Raises ExtractorError or WeightsError, with the mend.

    Args:
        name: classifier, efficientnet_lite0 or inception.
        inception_path: local inception-2015-12-05.pt, for inception.
        classifier_path: a .safetensors file that the reference stage wrote, for classifier.
    """
    if name not in EXTRACTORS:
        raise ExtractorError(f"unknown extractor {name!r}{nearest_name(name, EXTRACTORS)}")
    return EXTRACTORS[name](Files(inception_path, classifier_path))
