"""Builds the method of training that a run's settings name."""

from dataset.store import ImageDataset
from foundation.did_you_mean import check_name
from foundation.workers import World
from training.events import Message, Report, silent
from training.fine_tuning.refusals import fine_tuning_refusals
from training.held_out import sparse_bins
from training.method import Method, Remarking, Telling
from training.methods.table import METHODS
from training.run_settings import RunSettings


def build_method(
    settings: RunSettings, dataset: ImageDataset, world: World, tell: Report = silent
) -> Method:
    """A new method, the same on every rank; with the structure game unless structure.kind is none.

    tell: called with the method's events, with messages of what it begins with, and with one if the
    data are too few for what training measures. Raises ValueError if settings do not fit each
    other or the weights of a feature network are missing.
    """
    check_name("train.method", settings.train.method, METHODS)
    for line in fine_tuning_refusals(settings.train, settings.model, settings.structure):
        raise ValueError(line)
    method = METHODS[settings.train.method](settings, dataset, world)
    if isinstance(method, Telling):
        method.tell = tell
    if isinstance(method, Remarking):
        for line in method.remarks:
            tell(Message(0, line))
    if settings.structure.kind != "none":
        from training.methods.structure_game import WithStructureGame

        method = WithStructureGame(method, settings, dataset, world, tell)
    remark = sparse_bins(settings.train, dataset)
    if remark is not None:
        tell(Message(0, remark))
    return method
