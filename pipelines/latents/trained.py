"""Makes the autoencoder of kind kl: trains it on the loop that trains denoisers."""

from pathlib import Path

from dataset.store import ImageDataset
from foundation.atomic_files import copy_whole
from foundation.json_files import read_object
from foundation.workers import World
from models.autoencoder import load_autoencoder, save_autoencoder
from models.ema_reconstruction import snapshot_name
from pipelines.latents.start import Start
from pipelines.settings.schema import Params
from pipelines.stages.training_run import opened_run, train_run
from pipelines.tracking.stage_run import StageRun
from pipelines.workspace.fingerprint import stage_identity
from pipelines.workspace.finished_run import CURVES, SUMMARY, seal
from pipelines.workspace.paths import dvc_root
from training.methods.build import build_method


def make_kl(params: Params, dataset: ImageDataset, file: Path, run: StageRun, start: Start) -> str:
    """Train it unless its run is finished, and write the averaged network; says how good it is.

    Raises RunInUse if another process trains it, ValueError for an adopted run that does not fit.
    """
    root, identity = dvc_root(), stage_identity("autoencoder", params)
    folder, settings = identity.folder(root), params.autoencoder_settings()
    with opened_run(
        *(identity, file.parent, root),
        fresh=start.fresh,
        adopt=start.adopt,
        storage=params.cluster.storage,
    ) as finished:
        if finished:
            print(f"autoencoder: {identity.fingerprint} is finished: publishing it again")
            run.mark_restored()
        else:
            identity.save(folder)
            build_method(settings, dataset, World())  # raises here, before any worker starts
            train_run("autoencoder", settings, params, folder, run, pixels=True)
            seal(folder)
        length = settings.ema.tracked[0]
        name = snapshot_name(settings.total_nimg, length)
        network = load_autoencoder(folder / "snapshots" / name)
        final = read_object(folder / SUMMARY)["final"]
        measured = {key: final[key] for key in sorted(final) if key.startswith("held_out/")}
        facts = {"nimg": settings.total_nimg, "sigma_rel": length, "measured": measured}
        save_autoencoder(file, network, facts)
        for part in (CURVES, SUMMARY):
            copy_whole(folder / part, file.with_name(part))
    weights = sum(p.numel() for p in network.parameters())
    headline = f"kl, {weights:,} weights, {settings.total_nimg:,} images seen"
    if measured:
        headline += (
            f"; held-out images come back with a PSNR of {measured['held_out/psnr']:.1f} dB and "
            f"an absolute error of {measured['held_out/loss']:.3f} (of 2)"
        )
    return headline
