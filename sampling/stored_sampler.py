"""The sampler that stored weights name: an exported folder, or the weights of a student."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from foundation.json_files import read_object
from models.weights import WeightsError
from models.weights_folder import files_of, weights_file
from sampling.config import SamplerConfig
from sampling.for_students import student_refusal, student_sampler
from sampling.options import describe

INDEX = "model_index.json"
"""File of an exported folder, in diffusers' form, whose key `sampler` holds the settings."""


def sampler_settings(sampler: SamplerConfig) -> dict[str, Any]:
    """JSON-able settings, without those that are at their defaults; `read_sampler` reads them."""
    return sampler.model_dump(mode="json", exclude_defaults=True)


def read_sampler(settings: dict[str, Any]) -> SamplerConfig:
    """The sampler of these settings. Raises a one-line ValueError."""
    try:
        return SamplerConfig.model_validate_json(json.dumps(settings))
    except ValidationError as error:
        raise ValueError(f"sampler: {describe(error)}") from None


@dataclass(frozen=True)
class AboutStudent:
    """What the weights of a student say of it."""

    kind: str
    levels: tuple[float, ...] | None
    """Noise levels at which it was trained to be called; None: any."""
    follows_paths: bool = False
    """Whether it is still a denoiser, which any solver may call."""


def student_of(path: str | Path) -> AboutStudent | None:
    """What the JSON beside the weights in `path` says of a student; None: they are of none.

    A folder of several EMA lengths means the first. Raises WeightsError for levels that cannot be
    read.
    """
    several = files_of(path) if Path(path).is_dir() else []
    try:
        file = (several[0] if several else weights_file(path)).with_suffix(".json")
    except WeightsError:
        return None  # a folder without weights, of which loading them tells
    try:
        found = read_object(file).get("student")
        if found is None:
            return None
        levels = found["levels"]
        about = AboutStudent(
            str(found["kind"]),
            None if levels is None else tuple(levels),
            found.get("follows_paths") is True,
        )
        student_sampler(about.levels)
        return about
    except FileNotFoundError:
        return None
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{file}: the entry student cannot be read: {error}") from None


def check_student(path: str | Path, sampler: SamplerConfig) -> None:
    """Raise ValueError if the weights in `path` are of a student that the sampler does not fit."""
    about = student_of(path)
    if about is None:
        return
    key, why = student_refusal(sampler, about.levels, about.follows_paths)
    if why:
        raise ValueError(f"{path} is a student ({about.kind}); sampler.{key}: {why}")


def load_sampler(path: str | Path) -> SamplerConfig:
    """The sampler of the exported folder `path`, or that of the levels of a student's weights.

    Of any other path it is the default, Heun in 18 steps. Raises WeightsError for a folder whose
    settings cannot be read, or for the weights of a student whose levels cannot.
    """
    file = Path(path) / INDEX
    if not file.is_file():
        about = student_of(path)
        if about is None or about.follows_paths:
            return SamplerConfig()
        return student_sampler(about.levels)
    try:
        return read_sampler(read_object(file).get("sampler") or {})
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file}: {error}") from None
