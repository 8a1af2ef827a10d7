"""Content hashes of what stages read: data, weights, guides, autoencoders."""

from collections.abc import Iterable
from pathlib import Path

from foundation.json_files import read_object
from models.autoencoders.config import DiffusersConfig
from models.autoencoders.diffusers_folder import read_diffusers_folder
from pipelines.settings.schema import Params
from pipelines.workspace.paths import DATASET, LATENTS
from pipelines.workspace.stage_code import content_hash
from pipelines.workspace.weights_files import check_autoencoder, guiding_files, init_file


def dataset_hash() -> str | None:
    """Content hash of the prepared data set; None before the stage prepare."""
    path = DATASET / "dataset.json"
    if not path.is_file():
        return None
    try:
        return str(read_object(path)["content_hash"])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): run the prepare stage again") from error


def weights_hashes(weights: Path) -> list[str | None]:
    """Content hashes of a weights file and of its description; None of one that is missing."""
    files = (weights, weights.with_suffix(".json"))
    return [content_hash(path) if path.is_file() else None for path in files]


def init_hash(params: Params) -> str | None:
    """Content hash of train.init_from; None where training starts from random weights."""
    path = init_file(params)
    return None if path is None else content_hash(path)


def folder_hashes(params: Params) -> dict[str, list[str]]:
    """{"files": content hashes} of an autoencoder that params name by its folder; {} for others.

    Raises ParamsError where the folder is missing.
    """
    config = params.autoencoder
    if not isinstance(config, DiffusersConfig):
        return {}
    check_autoencoder(params)
    return {"files": [content_hash(path) for path in read_diffusers_folder(config.path).files]}


def latents_hash(params: Params) -> dict[str, str | None]:
    """{"latents": content hash of latents.json}, which holds those of all else; {} for pixels."""
    if params.autoencoder.kind == "none":
        return {}
    path = LATENTS / "latents.json"
    return {"latents": content_hash(path) if path.is_file() else None}


def guide_hashes(params: Params, samplers: Iterable[str]) -> list[str]:
    """Content hashes of the guiding weights that the samplers name."""
    return [
        content_hash(file)
        for name in samplers
        for file in guiding_files(params.sampling[name], name)
        if file is not None
    ]
