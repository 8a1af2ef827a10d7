"""Runs training in this process, or in the workers of Ray Train.

A worker gets plain data and paths in the project folder, which all nodes share. Its events come
back through a small actor, the mailbox. A failure to show them never ends a training.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset.latents import open_dataset
from pipelines.ray_jobs.event_queue import Drain, Mailbox, Push, Sender, forward, steady
from pipelines.ray_jobs.loopback import local_torch_config
from pipelines.ray_jobs.own_state import ray_state
from pipelines.ray_jobs.session import ClusterError, ray_session, root_cause
from pipelines.ray_jobs.waiting import check_room, told_while_waiting
from pipelines.settings.cluster import ClusterConfig
from training.events import Event, Message, Report
from training.run_settings import RunSettings
from training.state.leaving import TrainingStopped

if TYPE_CHECKING:
    from foundation.workers import World

POLL_SECONDS = 0.5
ANSWER_SECONDS = 60.0
"""Seconds that a mailbox may take to answer."""


def run_training(
    settings: RunSettings,
    dataset_folder: Path,
    folder: Path,
    cluster: ClusterConfig,
    report: Report,
    latents_folder: Path | None = None,
) -> None:
    """Train the run in `folder` to its end on `cluster`; `report` is called with rank 0's events.

    latents_folder: of the data set's latents; None: the denoiser sees its pixels. An exception of
    `report` becomes a warning. Raises ClusterError with the worker's own message if workers fail
    more than cluster.max_failures times.
    """
    if cluster.fewest_workers == 0:
        from foundation.workers import World
        from training.loop import train

        world, report = World.current(), steady(report)
        tell_precision(settings, world, report)
        train(settings, open_dataset(dataset_folder, latents_folder), folder, world, report)
        return
    with ray_session(cluster) as ray:
        train_on_ray(
            ray,
            settings,
            Path(dataset_folder),
            Path(folder),
            cluster,
            report,
            latents_folder=latents_folder,
        )


def _worker(config: dict) -> None:
    """Runs in each Ray Train worker. config: the mapping that train_on_ray makes."""
    import ray
    from ray.train.torch import get_device

    from foundation.workers import World
    from training.loop import train

    # Ray starts workers in another folder, but params name files relative to the project.
    os.chdir(config["here"])
    settings = RunSettings.model_validate_json(config["settings"])
    world = World.current(get_device())

    def find() -> Push:
        mailbox = ray.get_actor(config["mailbox"], namespace=config["namespace"])

        def push(events: list[Event]) -> None:
            ray.get(mailbox.push.remote(events), timeout=ANSWER_SECONDS)

        return push

    send, enrich = Sender(find), config["enrich"]

    def report(event: Event) -> None:
        send(enrich(event) if enrich else event)

    tell_precision(settings, world, report)
    dataset = open_dataset(config["dataset"], config["latents"])
    try:
        train(settings, dataset, Path(config["folder"]), world, report)
    except TrainingStopped:
        send.close()
        time.sleep(ANSWER_SECONDS)  # the driver ends all workers; to fail would start them again
        raise
    send.close()


def tell_precision(settings: RunSettings, world: "World", report: Report) -> None:
    """Report a message from rank 0 if its device is slower in train.precision than in fp32."""
    from training.precision_speed import precision_note

    note = precision_note(settings.train.precision, world.device) if world.rank == 0 else None
    if note:
        report(Message(0, f"train: note: {note}"))


def worker_scaling(cluster: ClusterConfig, gpus: float, resources: dict[str, float] | None) -> Any:
    """Ray Train's ScalingConfig on a cluster with this number of GPUs.

    resources: of each worker, see `train_on_ray`. With cluster.use_gpu null, GPUs are used if there
    is one for each worker; if there are too few, a line says so.
    """
    from ray.train import ScalingConfig

    use_gpu = cluster.use_gpu
    if resources is not None:
        use_gpu = resources.get("GPU", 0) > 0
    elif use_gpu is None:
        use_gpu = gpus >= cluster.fewest_workers
        if gpus and not use_gpu:
            print(
                f"train: {gpus:g} GPU for {cluster.fewest_workers} workers: training on "
                f"processors; set cluster.num_workers to {gpus:g} to use it",
                flush=True,
            )
    workers: Any = cluster.num_workers  # (min, max): elastic
    return ScalingConfig(
        num_workers=workers,
        use_gpu=use_gpu,
        resources_per_worker=resources or ({"GPU": 1} if use_gpu else {"CPU": 1}),
    )


def make_mailbox(ray: Any, name: str) -> Drain:
    """Start a mailbox that workers find by `name`; returns the function that fetches its events.

    It runs on the caller's node, so that it lives as long as the driver. Raises RuntimeError if Ray
    has been shut down.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if not ray.is_initialized():  # a call would start it again
        raise RuntimeError("Ray has been shut down")
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    # One that was slow to answer, and so was taken for lost, still has its name.
    options = {"name": name, "get_if_exists": True, "num_cpus": 0, "scheduling_strategy": here}
    mailbox = ray.remote(Mailbox).options(**options).remote()
    return lambda: ray.get(mailbox.drain.remote(), timeout=ANSWER_SECONDS)


def train_on_ray(
    ray: Any,
    settings: RunSettings,
    dataset_folder: Path,
    folder: Path,
    cluster: ClusterConfig,
    report: Report,
    *,
    enrich: Callable[[Event], Event] | None = None,
    resources: dict[str, float] | None = None,
    latents_folder: Path | None = None,
) -> None:
    """Like `run_training`, on a Ray that is connected already.

    Args:
        ray: the module ray.
        enrich: applied to each event in the worker of rank 0, before it is sent. An exception of
            it ends the training.
        resources: of each worker, e.g. {"CPU": 1, "GPU": 0.5}; None: a GPU, or else a processor.
    """
    from ray.train import FailureConfig, RunConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    scaling = worker_scaling(cluster, ray.cluster_resources().get("GPU", 0), resources)
    wanted = cluster.fewest_workers, _as_floats(scaling.resources_per_worker)
    if not cluster.address:
        check_room(*wanted, ray.cluster_resources())
    backend = "nccl" if scaling.use_gpu else "gloo"
    name, namespace = f"mailbox-{uuid.uuid4().hex[:12]}", ray.get_runtime_context().namespace
    drain = make_mailbox(ray, name)
    storage = (folder.parent / "ray").resolve()
    config = {
        "settings": settings.model_dump_json(),
        "dataset": str(dataset_folder.resolve()),
        "latents": str(latents_folder.resolve()) if latents_folder else None,
        "folder": str(folder.resolve()),
        "mailbox": name,
        "namespace": namespace,
        "enrich": enrich,
        "here": str(Path.cwd()),
    }

    def tell(line: str) -> None:
        steady(report)(Message(0, f"train: {line}"))

    stop = threading.Event()
    reader = threading.Thread(
        target=forward,
        args=(drain, lambda: make_mailbox(ray, name), report, stop, POLL_SECONDS),
        daemon=True,
    )
    with ray_state(storage, folder.name) as start:
        trainer = TorchTrainer(
            _worker,
            train_loop_config=config,
            torch_config=(
                TorchConfig(backend=backend) if cluster.address else local_torch_config(backend)
            ),
            scaling_config=scaling,
            run_config=RunConfig(
                name=start,
                storage_path=str(storage),
                failure_config=FailureConfig(max_failures=cluster.max_failures),
            ),
        )
        reader.start()
        try:
            with told_while_waiting(ray, tell, fallback=wanted):
                _fit(trainer)
        except Exception as error:
            raise ClusterError(root_cause(error)) from error
        finally:
            stop.set()
            reader.join(timeout=60)


def _as_floats(resources: dict[str, float] | None) -> dict[str, float]:
    return {kind: float(amount) for kind, amount in (resources or {}).items()}


def _fit(trainer: Any) -> None:
    """trainer.fit(), in a thread: in the main one Ray Train would take Ctrl-C for itself.

    Signals reach the handlers of this process, which may end the wait by an exception.
    """
    raised: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(timeout=POLL_SECONDS)
    if raised:
        raise raised[0]
