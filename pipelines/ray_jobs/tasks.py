"""One function over many arguments, as Ray tasks."""

from collections.abc import Callable
from typing import Any

from pipelines.ray_jobs.session import ClusterError, ray_session, root_cause
from pipelines.settings.cluster import ClusterConfig


def run_tasks(
    function: Callable[..., Any],
    arguments: list[tuple],
    cluster: ClusterConfig,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Any]:
    """function(*arguments[i]) for each i as Ray tasks, results in order.

    progress(done) is called after each. Raises ClusterError with the message of a task that fails.
    """
    with ray_session(cluster) as ray:
        gpu = cluster.use_gpu
        if gpu is None:
            gpu = ray.cluster_resources().get("GPU", 0) >= 1
        # So many processors each that about evaluate_workers of them run at a time.
        share = processors_each(ray.nodes(), cluster.evaluate_workers)
        task = ray.remote(function).options(
            num_cpus=share,
            num_gpus=1 if gpu else 0,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(share)}},
        )
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
    """Processors of one of `workers` tasks at a time, such that each node has room for one.

    1 where workers is 0.
    """
    counts = [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]]
    counts = [count for count in counts if count]
    if not workers or not counts:
        return 1
    return max(1, min(sum(counts) // workers, min(counts)))
