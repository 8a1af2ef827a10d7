"""Runs one function with many arguments as Ray tasks."""

from collections.abc import Callable
from typing import Any

from pipelines.ray_jobs.session import ClusterError, ray_session, root_cause
from pipelines.ray_jobs.waiting import Patience, room
from pipelines.settings.cluster import ClusterConfig


def run_tasks(
    function: Callable[..., Any],
    arguments: list[tuple],
    cluster: ClusterConfig,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Any]:
    """[function(*values) for values in arguments], computed by Ray tasks.

    progress(done) is called after each task. Raises ClusterError with the message of a failed task.
    """
    with ray_session(cluster) as ray:
        gpu = cluster.use_gpu
        if gpu is None:
            gpu = ray.cluster_resources().get("GPU", 0) >= 1
        # Each task takes so many processors that about evaluate_workers of them run at a time.
        share = processors_each(ray.nodes(), cluster.evaluate_workers)
        options = {
            "num_cpus": share,
            "num_gpus": 1 if gpu else 0,
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(share)}},
        }
        _wait_for_room(ray, options)
        task = ray.remote(function).options(**options)
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


def _wait_for_room(ray: Any, options: dict[str, Any]) -> None:
    """Wait until the cluster has run an empty task with these options; tell if that takes long."""
    started = ray.remote(_nothing).options(**options).remote()
    each = {"CPU": float(options["num_cpus"]), "GPU": float(options["num_gpus"])}
    patience = Patience(
        lambda: (1, each), lambda: room(ray), lambda line: print(line, flush=True), "tasks"
    )
    while not ray.wait([started], timeout=5.0)[0]:
        patience()


def _nothing() -> None:
    """An empty task, which runs as soon as there is room."""


def processors_each(nodes: list[dict], workers: int) -> int:
    """Processors of each task, so that `workers` tasks run at a time; 1 if workers is 0.

    Not more than the smallest node has. nodes: as ray.nodes() gives them.
    """
    counts = [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]]
    counts = [count for count in counts if count]
    if not workers or not counts:
        return 1
    return max(1, min(sum(counts) // workers, min(counts)))
