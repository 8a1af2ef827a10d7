"""How long an autoencoder that is trained will take."""

from pathlib import Path
from tempfile import TemporaryDirectory

from dataset.store import ImageDataset
from models.autoencoders.config import KLConfig
from pipelines.forecast.measure import step_seconds
from pipelines.forecast.place import prepared_or_none, training_device
from pipelines.forecast.stand_in import write_stand_in
from pipelines.settings.schema import Params
from pipelines.workspace.paths import DATASET


def autoencoder_seconds(params: Params) -> float | None:
    """Seconds of the training of the stage `autoencoder`; None where it trains nothing.

    A few steps are timed, on images of the shape of the data set's. Held-out measurements, a small
    part, do not count. Raises ValueError for settings that do not fit each other.
    """
    if not isinstance(params.autoencoder, KLConfig):
        return None
    settings = params.autoencoder_settings()
    device = training_device(params.cluster.use_gpu, params.cluster.fewest_workers)
    workers = max(1, params.cluster.most_workers)
    dataset = prepared_or_none(DATASET, params.dataset.resolution)
    with TemporaryDirectory(prefix="sadm-speed-") as folder:
        if dataset is None:
            write_stand_in(params.dataset, Path(folder))
            dataset = ImageDataset(Path(folder))
        step = step_seconds(settings, dataset, workers, device)
    return step * settings.total_nimg / settings.train.batch_size
