"""Stage train: the denoiser and, where structure.kind asks for it, its game.

The same command after a crash or Ctrl-C resumes from the last checkpoint; a finished run is
published again without training. TRAIN_FRESH=1 and TRAIN_ADOPT=FINGERPRINT do under DVC what the
flags do here.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dataset.store import ImageDataset
from foundation.workers import World
from pipelines.cluster import describe_cluster, hide_gpus, run_training
from pipelines.combinations import remarks
from pipelines.identity import (
    DATASET,
    TRAIN,
    Identity,
    dvc_root,
    grid_cache,
    init_file,
    outcome,
    pipeline_tag,
    stage_identity,
)
from pipelines.monitor import Monitor, close_training
from pipelines.params import Params, load_params
from pipelines.stage import parser, run_stage
from pipelines.tracking import stage_run
from training.config import TrainConfig
from training.methods.build import build_state


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--fresh", action="store_true", default=_env("TRAIN_FRESH") == "1",
                           help="train anew, removing what this run has so far")  # fmt: skip
    arguments.add_argument("--adopt", metavar="FINGERPRINT", default=_env("TRAIN_ADOPT"),
                           help="continue the unfinished run of that fingerprint, which differs "
                           "in code only")  # fmt: skip
    args = arguments.parse_args()
    params, root = load_params(args.params), dvc_root()
    hide_gpus(params.cluster)
    ImageDataset(DATASET)  # a damaged data set is told before anything starts
    identity = stage_identity("train", params)
    folder = identity.folder(root)
    with locked(folder):
        if args.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        offer_or_adopt(identity, folder, args.adopt)
        finished = (folder / "train.json").is_file()
        with stage_run("train", params, pipeline_tag(params), identity.fingerprint, root=root,
                       fresh=args.fresh) as run:  # fmt: skip
            if finished:
                print(f"train: {identity.fingerprint} is finished: publishing it again")
                run.mark_restored()
            else:
                identity.save(folder)
                train_run(params, folder, identity, run)
            run.log_artifact(folder / "train.json")
            publish(folder, TRAIN)
            close_training(run, json.loads((folder / "train.json").read_text()), outcome(params))


def train_run(params: Params, folder: Path, identity: Identity, run) -> None:
    """Train to the end, with a progress bar, on the cluster that params name."""
    settings = params.run_settings().model_copy(
        update={"grid_cache": str(grid_cache()), "train": with_init_file(params)}
    )
    if params.structure.fakes in ("onpolicy", "deployed") and params.structure.sampler is not None:
        params.structure.sampler.time_grid(grid_cache())  # searched once, not by every worker
    # Settings that do not fit and feature networks without weights are told here, in one line,
    # before any worker starts.
    build_state(settings, ImageDataset(DATASET), World())
    for remark in remarks(params):
        print(f"train: note: {remark}", flush=True)
    print(f"train: {settings.total_nimg / 1000:g} kimg {describe_cluster(params.cluster)}, "
          f"run {identity.fingerprint}", flush=True)  # fmt: skip
    with Monitor(settings.total_nimg, run) as monitor:
        run_training(settings, DATASET, folder, params.cluster, monitor)


def with_init_file(params: Params) -> TrainConfig:
    """The train section with the full path of train.init_from, as a copy of the project needs it."""
    path = init_file(params)
    return params.train.model_copy(update={"init_from": str(path) if path else None})


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of one fingerprint. Raises RuntimeError when another process holds it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder) + ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RuntimeError(
            f"another process is training run {folder.name} now: wait for it, or stop it first"
        ) from None
    try:
        yield
    finally:
        lock.release()


def offer_or_adopt(identity: Identity, folder: Path, adopt: str | None) -> None:
    """Continue, or point out, an unfinished run that differs from this one in code only."""
    if folder.exists():
        return
    for other in sorted(folder.parent.glob("train-*/identity.json")):
        try:
            facts = json.loads(other.read_text())
        except ValueError:  # cut off by a full disk or a kill: its run cannot be known
            continue
        if (facts["params"], facts["inputs"]) != (identity.params, identity.inputs):
            continue
        if (other.parent / "train.json").exists() or not (other.parent / "checkpoints").exists():
            continue
        if adopt == facts["fingerprint"]:
            other.parent.rename(folder)
            identity.save(folder)
            print(f"train: continuing run {adopt} with the code as it is now")
            return
        print(
            f"train: an unfinished run {facts['fingerprint']} differs from this one in code only; "
            f"TRAIN_ADOPT={facts['fingerprint']} dvc repro  continues it, otherwise a new one starts"
        )
    if adopt:
        raise ValueError(
            f"--adopt {adopt}: there is no unfinished run of that fingerprint with these params "
            "and data: leave --adopt away"
        )


def publish(folder: Path, out: Path) -> None:
    """Link the finished run's results into the stage's outputs."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "snapshots").mkdir(parents=True)
    names = ["train.json", "curves.csv"]
    names += [f"snapshots/{p.name}" for p in sorted((folder / "snapshots").iterdir())
              if p.suffix in (".json", ".safetensors")]  # fmt: skip
    for name in names:
        try:
            os.link(folder / name, out / name)
        except OSError:  # another file system
            shutil.copy2(folder / name, out / name)


def _env(name: str) -> str | None:
    return os.environ.get(name) or None


if __name__ == "__main__":
    run_stage(main)
