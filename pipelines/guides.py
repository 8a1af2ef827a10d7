"""What a sampler's guidance needs beside the denoiser: a guiding network, a classifier."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.denoiser import load_denoiser
from models.extractors.load import load_classifier
from pipelines.identity import guiding_file
from sampling.config import SamplerConfig


class ClassifierLogProb:
    """log p(label | D(x; sigma)): a classifier of clean images read at the denoised estimate.

    Differentiable in x through the denoiser (universal guidance, Bansal et al., arXiv 2302.07121,
    Eq. 7), so any classifier will do.
    """

    def __init__(self, denoiser: nn.Module, classifier: Any):
        self.denoiser, self.classifier = denoiser, classifier

    def __call__(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None or (labels < 0).any():
            raise ValueError("guidance gradient needs a label for every image")
        clean = self.denoiser(x, sigma).float()
        logits = self.classifier.classify(clean)
        return torch.log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]


def with_guiding_files(sampler: SamplerConfig, name: str) -> SamplerConfig:
    """The sampler with the full paths of its guiding weights. Raises ParamsError for missing ones."""
    entries = tuple(
        entry
        if entry.weights is None
        else entry.model_copy(update={"weights": str(guiding_file(entry.weights, name))})
        for entry in sampler.guidance
    )
    return sampler.model_copy(update={"guidance": entries})


def make_guides(
    sampler: SamplerConfig, weights: Path, denoiser: nn.Module, device: torch.device | str,
    classifier: Path | None = None,
) -> dict[str, Any] | None:  # fmt: skip
    """Helpers by kind of guidance, None where none is needed; missing ones are one clear error.

    `weights` is the guided denoiser's own file: autoguidance by `length` looks beside it.
    """
    guides: dict[str, Any] = {}
    for entry in sampler.guidance:
        if entry.kind == "autoguidance":
            if entry.weights is None and entry.length is None:
                raise ValueError(
                    "guidance autoguidance needs weights (a file) or length (an EMA length among "
                    "ema.lengths): give one of them"
                )
            if entry.weights is not None:
                path = Path(entry.weights)
            else:
                path = Path(weights).parent / f"{entry.length:g}.safetensors"
            guides["autoguidance"] = load_denoiser(path, device)
        elif entry.kind == "gradient":
            if classifier is None:
                raise ValueError(
                    "guidance gradient needs a classifier that is not the metric's: use it with "
                    "python -m pipelines.sample --classifier FILE, not in evaluate"
                )
            guides["gradient"] = ClassifierLogProb(denoiser, load_classifier(classifier).to(device))
    return guides or None
