"""Ray objects: training workers, image generation spread over a cluster.

Everything a worker needs travels as plain data and paths in the project folder, which all nodes
share; its events come back through a small mailbox actor.
"""

import json
import logging
import os
import signal
import socket
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dataset.store import ImageDataset
from foundation.workers import World
from pipelines.cluster_config import ClusterConfig
from pipelines.mailbox import Mailbox
from training.run_settings import RunSettings

Report = Callable[[dict], None]
POLL_SECONDS = 0.5


class ClusterError(RuntimeError):
    """Ray could not be reached, or its workers failed."""


@contextmanager
def ray_session(cluster: ClusterConfig, *, dashboard: bool = False) -> Iterator[Any]:
    """Connect to `cluster.address`, or start a Ray on this machine for the length of the block.

    Raises ClusterError when the address does not answer.
    """
    # Metrics export and usage statistics look for servers that a laptop does not have.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DISABLE_MEMORY_MONITOR", "0")
    import ray

    runtime: dict[str, Any] = {"env_vars": _worker_environment(cluster)}
    options: dict[str, Any] = {}
    if cluster.address:
        _check_address(cluster.address)
        runtime |= {
            "working_dir": str(Path.cwd()),
            "excludes": ["outputs", "reports", ".runs", ".venv", ".dvc", ".git", "mlruns", "*.db"],
        }
        options["address"] = cluster.address
    else:
        # "local": a Ray that runs here already, which Ray would join by itself, is somebody's cluster.
        if os.environ.get("RAY_ADDRESS"):
            print("cluster.address is null, so this runs on a Ray of its own: RAY_ADDRESS is not used",
                  flush=True)  # fmt: skip
        options |= {
            "address": "local",
            "include_dashboard": dashboard,
            "dashboard_host": "127.0.0.1",
        }
    try:
        ray.init(
            runtime_env=runtime, log_to_driver=False, logging_level=logging.ERROR,
            configure_logging=True, **options,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"cluster.address {cluster.address!r}" if cluster.address else "a local Ray"
        raise ClusterError(f"{where} could not be used: {str(error).splitlines()[0]}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise ClusterError if nobody answers at host:port; Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto" or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ClusterError(
            f"cluster.address {address!r} does not answer ({error}): start Ray there "
            "(ray start --head), correct the address, or set it to null"
        ) from error


def hide_gpus(cluster: ClusterConfig) -> None:
    """Where cluster.use_gpu is false, let nothing in this process or its Ray see a GPU."""
    if cluster.use_gpu is False:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _worker_environment(cluster: ClusterConfig) -> dict[str, str]:
    """One thread per worker where workers = cores, no spinning, and this copy of the code."""
    threads = max(1, (os.cpu_count() or 1) // max(1, cluster.most_workers))
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "GOMP_SPINCOUNT": "0",
        "OMP_WAIT_POLICY": "passive",
        "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    }
    if cluster.use_gpu is False:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    if not cluster.address:
        # A workspace copy must not import the code of the installed checkout.
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    return environment


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

    def report(event: dict) -> None:
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
    report: Report, *, enrich: Callable[[dict], dict] | None = None,
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


def root_cause(error: BaseException) -> str:
    """The worker's own message inside Ray's wrapping."""
    failures = getattr(error, "worker_failures", None) or {}
    inner: BaseException = next(iter(failures.values()), error)
    while (cause := getattr(inner, "cause", None) or inner.__cause__) is not None:
        if not isinstance(cause, BaseException):
            break
        inner = cause
    text = str(inner).strip()
    return f"training failed: {text.splitlines()[-1] if text else type(inner).__name__}"


def spread(
    function: Callable[..., Any], arguments: list[tuple], cluster: ClusterConfig,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Any]:  # fmt: skip
    """function(*arguments[i]) for each i as Ray tasks, results in order."""
    with ray_session(cluster) as ray:
        gpu = cluster.use_gpu
        if gpu is None:
            gpu = ray.cluster_resources().get("GPU", 0) >= 1
        # So many processors each that about evaluate_workers of them run at a time.
        share = processors_each(ray.nodes(), cluster.evaluate_workers)
        task = ray.remote(function).options(
            num_cpus=share, num_gpus=1 if gpu else 0,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(share)}},
        )  # fmt: skip
        references = [task.remote(*values) for values in arguments]
        waiting = list(references)
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1)
            try:
                ray.get(ready)
            except Exception as error:
                raise ClusterError(root_cause(error)) from error
            progress(len(references) - len(waiting))
        return ray.get(references)


def processors_each(nodes: list[dict], workers: int) -> int:
    """Processors of one of `workers` tasks at a time, such that each node has room for one; 1 for 0."""
    counts = [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]]
    counts = [count for count in counts if count]
    if not workers or not counts:
        return 1
    return max(1, min(sum(counts) // workers, min(counts)))


def describe_cluster(cluster: ClusterConfig) -> str:
    """One line for people: where training is about to run."""
    if cluster.fewest_workers == 0:
        return "in this process"
    where = f"on the Ray cluster at {cluster.address}" if cluster.address else "on a local Ray"
    return f"with {json.dumps(cluster.num_workers)} workers {where}"
