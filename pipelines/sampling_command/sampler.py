"""The sampler that a command line asks for, and what its guidance stands on."""

import argparse
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from foundation.did_you_mean import spelling_hint
from models.weights import WeightsError, load_description
from models.weights_folder import weights_file
from pipelines.params import load_params
from pipelines.settings.yaml_file import read_value
from sampling.config import SamplerConfig
from sampling.guidance.table import KINDS, weighted_kinds
from sampling.request import GenerationRequest
from sampling.stored_sampler import check_student, load_sampler


def chosen_sampler(args: argparse.Namespace) -> SamplerConfig:
    """The sampler that --sampler names, changed by the other options.

    Without --sampler it is that of an exported folder, that of a student's levels, and Heun in 18
    steps of other weights.

    Raises ValueError for an unknown name or value, and for a sampler that does not fit a student.
    """
    settings: dict[str, Any] = load_sampler(args.weights).model_dump()
    if args.sampler:
        known = load_params(args.params).sampling
        if args.sampler not in known:
            hint = spelling_hint(args.sampler, known)
            raise ValueError(f"--sampler {args.sampler} is not in {args.params}{hint}")
        settings = known[args.sampler].model_dump()
    given = {
        "solver": args.solver,
        "grid": args.grid_name,
        "steps": args.steps,
        "sigma_min": args.sigma_min,
        "sigma_max": args.sigma_max,
        "adapter": args.adapter,
    }
    for key, options in (("solver", "solver_options"), ("grid", "grid_options")):
        if given[key] not in (None, settings.get(key)):
            settings.pop(options, None)  # they are options of another solver or grid
    if args.grid_name not in (None, "explicit"):
        settings.pop("sigmas", None)
    settings |= {key: value for key, value in given.items() if value is not None}
    for key, words in (("solver_options", args.solver_option), ("grid_options", args.grid_option)):
        if words:
            settings[key] = {**settings.get(key, {}), **dict(option(word) for word in words)}
    if args.guide:
        entries = [_weighted(word) for word in args.guide]
        settings["guidance"] = tuple({"kind": kind, "weight": weight} for kind, weight in entries)
    try:
        sampler = SamplerConfig(**settings)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        if args.guide and len(problem["loc"]) > 1 and problem["loc"][0] == "guidance":
            raise ValueError(f"--guide {args.guide[problem['loc'][1]]}: {message}") from None
        raise ValueError(f"sampler{'.' + key if key else ''}: {message}") from None
    check_student(args.weights, sampler)
    return _guided(sampler, args)


def _guided(sampler: SamplerConfig, args: argparse.Namespace) -> SamplerConfig:
    """The sampler with --guide-weights. Raises ValueError for files that no guidance uses."""
    kinds = [entry.kind for entry in sampler.guidance]
    for option_, path, used in (
        ("--guide-weights", args.guide_weights, any(e.needs.network for e in sampler.guidance)),
        ("--classifier", args.classifier, any(e.needs.classifier for e in sampler.guidance)),
    ):
        if path and not used:
            raise ValueError(
                f"{option_} {path}: the guidance of this sampler ({', '.join(kinds) or 'none'}) "
                "does not use it: give --guide KIND=WEIGHT too, or leave it out"
            )
    if args.guide_weights:
        try:
            load_description(weights_file(args.guide_weights))
        except WeightsError as error:
            raise ValueError(f"--guide-weights: {error}") from None
    for entry in sampler.guidance:
        given = args.guide_weights or entry.guiding_weights or entry.guiding_length
        if entry.needs.network and not given:
            raise ValueError(
                f"guidance {entry.kind} needs the weights of a guiding denoiser: give "
                "--guide-weights FILE, such as another EMA length"
            )
    if not (args.guide and args.guide_weights):
        return sampler
    guidance = tuple(
        entry.with_guiding_weights(args.guide_weights) if entry.needs.network else entry
        for entry in sampler.guidance
    )
    return sampler.model_copy(update={"guidance": guidance})


def _weighted(word: str) -> tuple[str, float]:
    """(kind, weight) of --guide KIND=WEIGHT. Raises ValueError."""
    kind, weight = option(word)
    takes = f"--guide takes {', '.join(weighted_kinds())}"
    if kind in KINDS and kind not in weighted_kinds():
        raise ValueError(
            f"--guide {word}: {kind} takes more than a weight and is set in the params file "
            f"(sampling.NAME.guidance, for --sampler NAME); {takes}"
        )
    if kind not in KINDS:
        hint = spelling_hint(kind, weighted_kinds())
        meant = f"{hint[1:]} " if hint.endswith("?") else " "
        raise ValueError(f"--guide {word}: there is no kind {kind!r}:{meant}{takes}")
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ValueError(f"--guide {word}: the weight must be a number, such as {kind}=2")
    return kind, weight


def option(word: str) -> tuple[str, Any]:
    """("KEY", value) of "KEY=VALUE", the value read as YAML. Raises ValueError."""
    key, sign, value = word.partition("=")
    if not sign or not key or not value:
        raise ValueError(f"{word!r} is not of the form KEY=VALUE")
    return key, read_value(value)


def classifier_note(request: GenerationRequest, classes: int) -> str | None:
    """One line that says which classifier guides and where it comes from; None if none does.

    classes: that the denoiser knows. Raises ValueError where the sampler needs a classifier and
    none is given, or one of other classes.
    """
    kinds = [entry.kind for entry in request.sampler.guidance if entry.needs.classifier]
    if not kinds:
        return None
    if request.classifier is None:
        raise ValueError(
            f"guidance {kinds[0]} needs a classifier of the same classes: give --classifier FILE, "
            "such as outputs/reference/classifier.safetensors, which the stage reference has "
            "trained where the data set has labels"
        )
    try:
        about = load_description(Path(request.classifier))
    except WeightsError as error:
        raise ValueError(f"--classifier: {error}") from None
    if about.get("kind") == "dual_encoder":
        return (
            f"guidance {kinds[0]} raises the score of images and captions of {request.classifier}; "
            "it is no judge of these images"
        )
    if request.prompts:
        raise ValueError(
            f"--classifier {request.classifier} knows classes and no words: give a dual encoder "
            "(python -m pipelines.text.dual_encoder), or --labels in place of --prompt"
        )
    if about.get("kind") == "attribute_predictor":
        return (
            f"guidance {kinds[0]} raises the log-probability of {request.classifier}, at every "
            "noise level"
        )
    if about.get("kind") != "classifier":
        raise ValueError(f"--classifier {request.classifier} holds no classifier of images")
    if about.get("num_classes") != classes:
        raise ValueError(
            f"--classifier {request.classifier} knows {about.get('num_classes')} classes and the "
            f"denoiser {classes}: give the classifier of the same data set"
        )
    training = about.get("training")
    origin = ""
    if isinstance(training, dict) and training.get("held_out_accuracy") is not None:
        origin = (
            f", trained by the stage reference on {training.get('images')} images, accuracy "
            f"{training['held_out_accuracy']:.3f} on held-out ones"
        )
    return (
        f"guidance {kinds[0]} raises the log-probability of {request.classifier}{origin}; do not "
        "judge these images by conditional accuracy, which the same network measures"
    )
