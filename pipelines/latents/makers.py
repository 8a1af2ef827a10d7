"""How each kind of autoencoder gets its weights."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataset.store import ImageDataset
    from pipelines.latents.start import Start
    from pipelines.settings.schema import Params
    from pipelines.tracking.stage_run import StageRun


def pca(
    params: "Params", dataset: "ImageDataset", file: Path, run: "StageRun", start: "Start"
) -> str:
    """Principal components of the training images' patches."""
    from pipelines.latents.principal_components import make_pca

    return make_pca(params, dataset, file, run)


def kl(
    params: "Params", dataset: "ImageDataset", file: Path, run: "StageRun", start: "Start"
) -> str:
    """A network that is trained on the training images."""
    from pipelines.latents.trained import make_kl

    return make_kl(params, dataset, file, run, start)


def diffusers(
    params: "Params", dataset: "ImageDataset", file: Path, run: "StageRun", start: "Start"
) -> str:
    """A copy of an autoencoder of the library diffusers."""
    from pipelines.latents.from_diffusers import make_diffusers

    return make_diffusers(params, file, run)


Maker = Callable[["Params", "ImageDataset", Path, "StageRun", "Start"], str]
"""(params, pictures, file to write, the stage's run, what training begins with) -> a headline."""

MAKERS: dict[str, Maker] = {"pca": pca, "kl": kl, "diffusers": diffusers}
"""{autoencoder.kind: function that writes the file, with its JSON beside it}."""
