"""The method of training that a run's settings ask for."""

from dataset.store import ImageDataset
from foundation.did_you_mean import check_name
from foundation.workers import World
from training.events import Report, silent
from training.method import Method
from training.methods.table import METHODS
from training.run_settings import RunSettings


def build_method(
    settings: RunSettings, dataset: ImageDataset, world: World, tell: Report = silent
) -> Method:
    """A fresh method, the same on every rank; with the structure game where the settings play it.

    tell: receives the events that arise within the method.
    Raises ValueError for settings that do not fit each other or a feature network without weights.
    """
    check_name("train.method", settings.train.method, METHODS)
    method = METHODS[settings.train.method](settings, dataset, world)
    if settings.structure.kind != "none":
        from training.methods.structure_game import WithStructureGame

        method = WithStructureGame(method, settings, dataset, world, tell)
    return method
