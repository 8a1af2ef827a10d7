"""Trains a run to its end on the cluster, for the stages train, distil and autoencoder."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.console.training_monitor import Monitor
from pipelines.forecast.disk_use import room_line
from pipelines.ray_jobs.session import describe_cluster
from pipelines.ray_jobs.training import run_training
from pipelines.run_copies.copying import copied, copy_of
from pipelines.settings.schema import Params
from pipelines.stages.leaving import leaving_on_signals
from pipelines.tracking.live_run import StageRun
from pipelines.workspace.fingerprint import Identity
from pipelines.workspace.finished_run import look_over
from pipelines.workspace.litter import sweep_up
from pipelines.workspace.makers import maker
from pipelines.workspace.paths import DATASET, grid_cache
from pipelines.workspace.run_folder import ORPHAN_S, locked, offer_or_adopt
from pipelines.workspace.training_data import latents_folder, training_dataset
from training.run_settings import RunSettings

if TYPE_CHECKING:
    from pipelines.console.training_monitor import Work


@contextmanager
def opened_run(
    identity: Identity,
    out: Path,
    root: Path,
    *,
    fresh: bool,
    adopt: str | None,
    storage: str | None = None,
) -> Iterator[bool]:
    """Hold the lock of the run's folder; yields whether the run is finished, and whole.

    Lost files of a finished run are taken from the copies in `out`. fresh: what the run has so far
    is removed first. adopt: fingerprint of an unfinished run of other code that is continued as
    this one. storage: cluster.storage, where a copy of the run may be, which is taken if it is
    further than the folder, or removed if all begins anew. Raises RunInUse if another process
    trains it, ValueError if there is none to adopt, StorageError if the storage fails.
    """
    folder = identity.folder(root)
    with locked(folder, ORPHAN_S):
        copy = None if storage is None else copy_of(folder, storage)
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
            if copy is not None:
                copy.forget()
        sweep_up(root)
        if copy is not None:
            stage = maker(folder.name).stage
            copy.fetch(lambda text: print(f"{stage}: {text}", flush=True))
        offer_or_adopt(identity, folder, adopt)
        yield look_over(folder, out)


def check_run(settings: RunSettings, params: Params, folder: Path) -> str:
    """Raise here, before any worker starts, what the method of training would raise.

    That are settings that do not fit, a feature network without weights, a teacher that does not
    fit, a disk without room for the run in `folder`. An optimized time grid of the game is searched
    here once, not by every worker. Returns a line that tells how much the run will write.
    """
    # These bring torch, which --help does without.
    from foundation.workers import World
    from training.methods.build import build_method
    from training.state.train_state import TrainState

    game = settings.structure
    if game.fakes in ("onpolicy", "deployed") and game.sampler is not None:
        game.sampler.time_grid(grid_cache())
    method = build_method(settings, training_dataset(params), World())
    return room_line(settings, TrainState(method), folder)


def train_run(
    title: str,
    settings: RunSettings,
    params: Params,
    folder: Path,
    run: StageRun,
    work: "Work | None" = None,
    *,
    pixels: bool = False,
) -> None:
    """Train the run in `folder` to the end, on the cluster of params; tells the screen and `run`.

    title: of a student, its name; "autoencoder"; "" for the denoiser. work: how the time left is
    shared out over the images to come; None: equally. pixels: train on the pictures, whatever
    denoisers see. Raises SystemExit or KeyboardInterrupt if it was told to stop
    (pipelines/stages/leaving.py).
    """
    fingerprint = folder.name.rpartition("-")[2]
    stage = title or "train" if settings.student is None else f"distil: {title}"
    print(
        f"{stage}: {settings.total_nimg / 1000:g} kimg {describe_cluster(params.cluster)}, "
        f"run {fingerprint}",
        flush=True,
    )

    def tell(text: str) -> None:
        print(f"{stage}: {text}", flush=True)

    with Monitor(settings.total_nimg, run, title=title, work=work) as monitor:
        latents = None if pixels else latents_folder(params)
        with (
            copied(folder, params.cluster.storage, monitor, tell) as told,
            leaving_on_signals(folder, told) as report,
        ):
            run_training(settings, DATASET, folder, params.cluster, report, latents)
