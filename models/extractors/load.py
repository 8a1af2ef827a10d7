"""Loads each network that gives features by its name in params.yaml."""

from pathlib import Path

from foundation.did_you_mean import nearest_name
from models.extractors.base import Extractor, ExtractorError
from models.extractors.classifier import ClassifierExtractor, load_classifier
from models.extractors.imagenet import EfficientNetLite0, Inception

__all__ = [
    "ClassifierExtractor",
    "EfficientNetLite0",
    "Extractor",
    "ExtractorError",
    "Inception",
    "load_classifier",
    "load_extractor",
]


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
    if name == "efficientnet_lite0":
        return EfficientNetLite0()
    if name == "inception":
        return Inception(inception_path)
    if name == "classifier":
        if classifier_path is None:
            raise ExtractorError(
                "extractor classifier is trained by the reference stage: run that first"
            )
        return load_classifier(Path(classifier_path))
    known = ("classifier", "efficientnet_lite0", "inception")
    raise ExtractorError(f"unknown extractor {name!r}{nearest_name(name, known)}")
