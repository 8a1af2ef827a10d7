"""How each kind of autoencoder gets its weights."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataset.store import ImageDataset
    from pipelines.settings.schema import Params
    from pipelines.tracking.stage_run import StageRun


def pca(params: "Params", dataset: "ImageDataset", file: Path, run: "StageRun") -> str:
    """Principal components of the training images' patches."""
    from pipelines.latents.principal_components import make_pca

    return make_pca(params, dataset, file, run)


Maker = Callable[["Params", "ImageDataset", Path, "StageRun"], str]
"""(params, pictures, file to write, the stage's run) -> a headline."""

MAKERS: dict[str, Maker] = {"pca": pca}
"""{autoencoder.kind: function that writes the file, with its JSON beside it}."""
