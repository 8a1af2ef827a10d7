"""Ray objects: training workers, image generation spread over a cluster.

Everything a worker needs travels as plain data and paths in the project folder, which all nodes
share; its events come back through a small mailbox actor.
"""

import os
import signal
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dataset.store import ImageDataset
from foundation.workers import World
from pipelines.ray_jobs.event_queue import Mailbox
from pipelines.ray_jobs.session import ClusterError, ray_session, root_cause
from pipelines.settings.cluster import ClusterConfig
from training.events import Event, Report
from training.run_settings import RunSettings

POLL_SECONDS = 0.5


def run_training(
    settings: RunSettings, dataset_folder: Path, folder: Path, cluster: ClusterConfig,
    report: Report,
) -> None:  # fmt: skip
    """Train the run of `folder` to its end on `cluster`; `report` receives rank 0's events.

    Raises ClusterError with the worker's own message when workers keep failing.
    """
    if cluster.fewest_workers == 0:
        from training.loop import train

        train(settings, ImageDataset(dataset_folder), folder, World.current(), report)
        return
    with ray_session(cluster) as ray:
        train_on_ray(ray, settings, Path(dataset_folder), Path(folder), cluster, report)


def _worker(config: dict) -> None:
    """What each Ray Train worker runs."""
    import ray
    from ray.train.torch import get_device

    from training.loop import train

    # Ray starts workers in a folder of its own; params name files relative to the project.
    os.chdir(config["here"])
    settings = RunSettings.model_validate_json(config["settings"])
    mailbox = ray.get_actor(config["mailbox"], namespace=config["namespace"])
    world = World.current(get_device())

    enrich = config["enrich"]

    def report(event: Event) -> None:
        ray.get(mailbox.push.remote(enrich(event) if enrich else event))

    train(
        settings,
        ImageDataset(Path(config["dataset"])),
        Path(config["folder"]),
        world,
        report,
    )


def worker_scaling(cluster: ClusterConfig, gpus: float, resources: dict[str, float] | None) -> Any:
    """Ray Train's ScalingConfig on a cluster with so many GPUs.

    resources: of each worker, as of `train_on_ray`. With cluster.use_gpu null GPUs are used where there
    is one for each worker; where there are too few, that is told.
    """
    from ray.train import ScalingConfig

    use_gpu = cluster.use_gpu
    if resources is not None:
        use_gpu = resources.get("GPU", 0) > 0
    elif use_gpu is None:
        use_gpu = gpus >= cluster.fewest_workers
        if gpus and not use_gpu:
            print(
                f"train: {gpus:g} GPU for {cluster.fewest_workers} workers: training on processors; "
                f"set cluster.num_workers to {gpus:g} to use it",
                flush=True,
            )
    workers: Any = cluster.num_workers  # (min, max): elastic
    return ScalingConfig(
        num_workers=workers,
        use_gpu=use_gpu,
        resources_per_worker=resources or ({"GPU": 1} if use_gpu else {"CPU": 1}),
    )


def train_on_ray(
    ray: Any, settings: RunSettings, dataset_folder: Path, folder: Path, cluster: ClusterConfig,
    report: Report, *, enrich: Callable[[Event], Event] | None = None,
    resources: dict[str, float] | None = None,
) -> None:  # fmt: skip
    """One Ray Train run within a Ray that is there already; otherwise like `run_training`.

    enrich: changes an event where it arises, in the worker of rank 0 (it is sent there).
    resources: of each worker, e.g. {"CPU": 1, "GPU": 0.5}; None: a GPU, or else a processor.
    """
    from ray.train import FailureConfig, RunConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    unique = uuid.uuid4().hex[:12]
    scaling = worker_scaling(cluster, ray.cluster_resources().get("GPU", 0), resources)
    name, namespace = f"mailbox-{unique}", ray.get_runtime_context().namespace
    mailbox = ray.remote(Mailbox).options(name=name, num_cpus=0).remote()
    storage = Path(cluster.storage).resolve() if cluster.storage else folder.parent / "ray"
    trainer = TorchTrainer(
        _worker,
        train_loop_config={
            "settings": settings.model_dump_json(), "dataset": str(dataset_folder.resolve()),
            "folder": str(folder.resolve()), "mailbox": name, "namespace": namespace,
            "enrich": enrich, "here": str(Path.cwd()),
        },
        torch_config=TorchConfig(backend="nccl" if scaling.use_gpu else "gloo"),
        scaling_config=scaling,
        run_config=RunConfig(
            # a new name at each start: our checkpoints are the only source of resumption
            name=f"{folder.name}-{unique}", storage_path=str(storage),
            failure_config=FailureConfig(max_failures=cluster.max_failures),
        ),
    )  # fmt: skip
    stop = threading.Event()
    reader = threading.Thread(
        target=_forward_events, args=(ray, mailbox, report, stop), daemon=True
    )
    reader.start()
    try:
        with _interrupt_kept():
            trainer.fit()
    except Exception as error:
        raise ClusterError(root_cause(error)) from error
    finally:
        stop.set()
        reader.join(timeout=60)


@contextmanager
def _interrupt_kept() -> Iterator[None]:
    """Ctrl-C as KeyboardInterrupt: Ray Train puts a handler in its place and exits instead."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if stop.code == 128 + signal.SIGTERM:  # tracking's
            raise
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


def _forward_events(ray, mailbox, report: Report, stop: threading.Event) -> None:
    """Hand the workers' events to `report` until `stop`; a failing report never ends training."""
    complained = False
    while True:
        finished = stop.wait(POLL_SECONDS)
        try:
            events = ray.get(mailbox.drain.remote())
        except Exception:  # Ray is going down: trainer.fit says why
            return
        for event in events:
            try:
                report(event)
            except Exception as error:
                if not complained:
                    warnings.warn(f"training goes on, but its progress cannot be shown: {error!r}")
                complained = True
        if finished:
            return
