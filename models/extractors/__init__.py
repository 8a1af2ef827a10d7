"""Networks that give features, for the metric and for the structure game."""

from models.extractors.base import Extractor, ExtractorError
from models.extractors.load import load_extractor

__all__ = ["Extractor", "ExtractorError", "load_extractor"]
