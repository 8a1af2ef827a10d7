"""Draws images from stored weights, and loads the networks that their guidance needs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foundation.number_names import number_name
from models.attribute_predictor import KIND as ATTRIBUTE_PREDICTOR
from models.attribute_predictor import AttributeOfImages, load_attribute_predictor
from models.codecs.latent import decoded_in_bands
from models.denoiser import Denoiser, load_denoiser
from models.dual_encoder import KIND as DUAL_ENCODER
from models.dual_encoder import load_dual_encoder
from models.extractors.classifier import load_classifier
from models.weights import load_description
from models.weights_folder import weights_file
from sampling.division import Division
from sampling.drawing.networks import device_of
from sampling.drawing.tally import EvaluationTally
from sampling.generate import Progress, as_sampled, generate_batches, prepare
from sampling.guidance.config import GuidanceConfig
from sampling.guidance.gradient import AttributeLogProb, CaptionScore, ClassifierLogProb
from sampling.request import GenerationRequest


def generate_chunk(
    request: GenerationRequest, progress: Progress | None = None, division: Division | None = None
) -> np.ndarray:
    """Pictures uint8 [N, H, W, C] from the request's weights file, on the GPU if there is one.

    division: see sampling/generate.py.
    """
    return generate_pictures(load_requested(request), request, progress, division)


def generate_counted(
    request: GenerationRequest, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(pictures uint8 [N, H, W, C], NFE of each [N], network evaluations of each [N])."""
    tally = EvaluationTally(len(request.indices), request.sampler.guidance)
    pictures = generate_pictures(load_requested(request), request, progress, tally=tally)
    return pictures, tally.calls, tally.networks


def with_fitted_levels(
    request: GenerationRequest, denoiser: Denoiser | None = None
) -> GenerationRequest:
    """The request with the levels that grid fitted finds; itself with any other grid.

    denoiser: of the request, loaded; None: it is loaded here where it is needed. What shares or
    counts images before they are drawn needs levels that are settings.
    """
    if request.sampler.grid != "fitted":
        return request
    denoiser = denoiser or load_requested(request)
    ask(denoiser, request)
    drawing = prepare(denoiser, replace(request, edit=None), guide=make_guides(denoiser, request))
    return replace(request, sampler=drawing.sampler)


def ask(denoiser: Denoiser, request: GenerationRequest) -> None:
    """Let the denoiser's labels be the request's captions, if it has any."""
    if request.prompts and tuple(request.prompts) != denoiser.label_names:  # not asked for already
        denoiser.ask(request.prompts)


def load_requested(request: GenerationRequest) -> Denoiser:
    """The request's denoiser, on the GPU if there is one."""
    assert request.weights is not None, "the request names no weights"
    return load_denoiser(request.weights, "cuda" if torch.cuda.is_available() else "cpu")


def generate_pictures(
    denoiser: Denoiser,
    request: GenerationRequest,
    progress: Progress | None = None,
    division: Division | None = None,
    tally: EvaluationTally | None = None,
) -> np.ndarray:
    """Pictures uint8 [N, H, W, C] from a loaded denoiser; guiding networks are loaded here.

    division, tally: see sampling/generate.py.
    """
    ask(denoiser, request)
    guides = make_guides(denoiser, request)
    batches = generate_batches(
        denoiser, request, guide=guides, progress=progress, division=division, tally=tally
    )
    with decoded_in_bands(denoiser.codec, None if division is None else division.decoding):
        pictures = np.concatenate([denoiser.codec.decode(batch) for batch in batches])
    return pictures if request.edit is None else request.edit.with_kept_pixels(pictures)


def make_guides(denoiser: Denoiser, request: GenerationRequest) -> tuple[Any, ...]:
    """For each entry of the sampler's guidance: the network it needs, or None if it needs none.

    Raises ValueError that says what is missing and how to give it.
    """
    return tuple(_guide(entry, denoiser, request) for entry in request.sampler.guidance)


def _guide(entry: GuidanceConfig, denoiser: Denoiser, request: GenerationRequest) -> Any:
    device = device_of(denoiser)
    if entry.needs.network:
        file = guiding_file(entry, request)
        guide = load_denoiser(file, device)
        if guide.codec.describe() != denoiser.codec.describe():
            raise ValueError(
                f"guidance {entry.kind}: {file} does not draw in the space of the denoiser that it "
                "would guide (pixels, or latents of one autoencoder): give weights of the same data"
            )
        if request.prompts and guide.num_classes:
            guide.ask(request.prompts)
        return guide
    if entry.needs.attribute:
        return _attribute(denoiser, predictor_file(entry, request))
    if entry.needs.classifier:
        if request.classifier is None:
            raise ValueError(
                f"guidance {entry.kind} needs a classifier that is not the metric's: use it with "
                "python -m pipelines.sample --classifier FILE, not in evaluate"
            )
        kind = load_description(Path(request.classifier)).get("kind")
        if kind == ATTRIBUTE_PREDICTOR:
            attribute = _attribute(denoiser, Path(request.classifier))
            return AttributeLogProb(attribute, denoiser.label_names)
        if kind == DUAL_ENCODER:
            pair = load_dual_encoder(Path(request.classifier)).to(device)
            shown = denoiser.codec.shown_shape(denoiser.image_shape)
            if tuple(pair.image_shape) != tuple(shown):
                raise ValueError(
                    f"guidance {entry.kind}: {request.classifier} compares captions with pictures "
                    f"{list(pair.image_shape)}, and these are {list(shown)}: train a dual encoder "
                    "of such pictures (python -m pipelines.text.dual_encoder)"
                )
            pair.ask(request.prompts or denoiser.label_names)
            return CaptionScore(as_sampled(denoiser, request.sampler), pair, denoiser.codec)
        classifier = load_classifier(Path(request.classifier)).to(device)
        return ClassifierLogProb(as_sampled(denoiser, request.sampler), classifier, denoiser.codec)
    return None


def _attribute(denoiser: Denoiser, file: Path) -> AttributeOfImages:
    predictor, of = load_attribute_predictor(file)
    return AttributeOfImages(denoiser, predictor.to(device_of(denoiser)), of)


def predictor_file(entry: GuidanceConfig, request: GenerationRequest) -> Path:
    """The file of the attribute predictor that guides.

    The name of an attribute means the predictor that the pipeline has made for the denoiser's own
    weights: outputs/attributes/NAME beside outputs/ema. Raises ValueError where the entry names
    neither a file nor an attribute, or that predictor is not there.
    """
    if entry.guiding_weights is not None:
        return Path(entry.guiding_weights)
    if entry.guiding_attribute is None or request.weights is None:
        raise ValueError(
            f"guidance {entry.kind} needs an attribute predictor: make one with "
            "python -m pipelines.attributes and name its file as `predictor`, or give `attribute`, "
            "the name of one in params"
        )
    weights = weights_file(request.weights)
    file = weights.parent.parent / "attributes" / entry.guiding_attribute / weights.name
    if not file.is_file():
        raise ValueError(
            f"guidance {entry.kind}: {file} is missing, the predictor of attribute "
            f"{entry.guiding_attribute!r} for {weights.name}: run `dvc repro attributes`"
        )
    return file


def guiding_file(entry: GuidanceConfig, request: GenerationRequest) -> Path:
    """The guiding denoiser's file.

    An EMA length means the file of that length in the folder of the denoiser's own weights. Raises
    ValueError where the entry names neither a file nor a length.
    """
    if entry.guiding_weights is not None:
        return weights_file(entry.guiding_weights)
    if entry.guiding_length is None or request.weights is None:
        raise ValueError(
            f"guidance {entry.kind} needs weights (a file) or length (an EMA length among "
            "ema.lengths): give one of them"
        )
    return weights_file(request.weights).parent / f"{number_name(entry.guiding_length)}.safetensors"
