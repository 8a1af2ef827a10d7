"""Guidance: wrappers that turn a denoiser D(x; sigma, labels) into another one; they nest."""

from sampling.guidance.autoguidance import Autoguidance
from sampling.guidance.base import Guided, bind_labels
from sampling.guidance.classifier_free import ClassifierFree
from sampling.guidance.gradient import Gradient
from sampling.guidance.interval import Interval
from sampling.guidance.table import guide_denoiser

__all__ = [
    "Autoguidance",
    "ClassifierFree",
    "Gradient",
    "Guided",
    "Interval",
    "bind_labels",
    "guide_denoiser",
]
