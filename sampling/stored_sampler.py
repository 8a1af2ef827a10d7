"""The sampler that an exported folder names, whose images its model card judges."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from foundation.json_files import read_object
from models.weights import WeightsError
from sampling.config import SamplerConfig
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


def load_sampler(path: str | Path) -> SamplerConfig:
    """The sampler of the exported folder `path`; of any other path the default, Heun in 18 steps.

    Raises WeightsError for a folder whose settings cannot be read.
    """
    file = Path(path) / INDEX
    if not file.is_file():
        return SamplerConfig()
    try:
        return read_sampler(read_object(file).get("sampler") or {})
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file}: {error}") from None
