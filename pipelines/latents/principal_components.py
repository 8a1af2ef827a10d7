"""Makes the autoencoder of kind pca."""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from dataset.store import ImageDataset
from models.autoencoder import save_autoencoder
from models.autoencoders.config import PCAConfig
from models.autoencoders.pca import PCAAutoencoder
from models.codecs.pixel import to_float
from pipelines.console.progress import progress
from pipelines.settings.schema import Params
from pipelines.tracking.stage_run import StageRun

AT_ONCE = 256


def make_pca(params: Params, dataset: ImageDataset, file: Path, run: StageRun) -> str:
    """Write the principal components of the training images; says what share they explain."""
    config = params.autoencoder
    assert isinstance(config, PCAConfig)
    network = PCAAutoencoder(dataset.image_shape[0], config.channels, config.factor)
    indices = dataset.train_indices
    with progress("autoencoder: training images read", len(indices)) as bar:

        def batches() -> Iterator[Tensor]:
            for start in range(0, len(indices), AT_ONCE):
                chosen = indices[start : start + AT_ONCE]
                yield to_float(dataset.images[chosen])
                bar(start + len(chosen))

        explained = network.fit(batches())
    save_autoencoder(file, network, {"explained_variance": explained})
    run.log_metrics({"explained_variance": explained})
    return (
        f"{config.channels} principal components of {config.factor}x{config.factor} patches carry "
        f"{explained:.1%} of their variance"
    )
