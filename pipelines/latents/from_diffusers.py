"""Makes the autoencoder of kind diffusers: copies it from its folder."""

from pathlib import Path

from models.autoencoder import save_autoencoder
from models.autoencoders.config import DiffusersConfig
from models.autoencoders.diffusers import from_folder
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import ParamsError
from pipelines.tracking.stage_run import StageRun


def make_diffusers(params: Params, file: Path, run: StageRun) -> str:
    """Write a copy of the folder's autoencoder, so that nothing later needs the folder.

    Raises ParamsError for weights that do not fit their config.json.
    """
    config = params.autoencoder
    assert isinstance(config, DiffusersConfig)
    try:
        network = from_folder(config.path)
    except ValueError as error:
        raise ParamsError(f"autoencoder.path: {error}") from error
    save_autoencoder(file, network)
    weights = sum(p.numel() for p in network.parameters())
    return f"{network.class_name} of {config.path}, {weights:,} weights"
