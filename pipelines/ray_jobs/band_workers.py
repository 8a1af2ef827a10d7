"""Draws images that several Ray workers share, each with a band of every image."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.ray_jobs.session import ClusterError, ray_session, root_cause
from pipelines.ray_jobs.tasks import processors_each
from pipelines.ray_jobs.waiting import Resources, check_room, told_while_waiting
from pipelines.settings.cluster import ClusterConfig
from sampling.band_plan import BandPlan
from sampling.division import over_group
from sampling.generate import Progress
from sampling.request import GenerationRequest

PATIENCE = timedelta(seconds=60)
"""So long a worker waits for another one's message."""
POLL_SECONDS = 0.5
OTHER_FAILURE_SECONDS = 3.0
"""After a first failure so long is waited for that of another worker, which may be its cause."""


class BandWorker:
    """One of the workers; runs as a Ray actor with two threads, of which one tells the progress."""

    def __init__(self, plan: BandPlan, rank: int, patience: timedelta):
        self.plan, self.rank, self.patience, self.done = plan, rank, patience, 0

    def host(self, port_of_store: int = 0) -> tuple[str, int]:
        """Rank 0 on a cluster: open the store in which the workers meet, and say where it is."""
        import ray
        import torch.distributed as dist

        address = ray.util.get_node_ip_address()
        self.store = dist.TCPStore(
            address, port_of_store, self.plan.workers, is_master=True, wait_for_workers=False
        )
        return address, self.store.port

    def meet(self, meeting: str | tuple[str, int], backend: str, here: str) -> None:
        """Make the group of all workers. meeting: a file, or address and port of a store."""
        import torch.distributed as dist

        os.chdir(here)  # params name files relative to the project
        os.environ["LOCAL_RANK"] = "0"  # Ray shows a worker its own GPU alone
        size = self.plan.workers
        store: Any
        if isinstance(meeting, str):
            store = dist.FileStore(meeting, size)
        elif self.rank == 0:
            store = self.store
        else:
            store = dist.TCPStore(meeting[0], meeting[1], size, is_master=False)
        dist.init_process_group(
            backend, store=store, rank=self.rank, world_size=size, timeout=self.patience
        )
        dist.barrier()

    def load(self, request: GenerationRequest) -> None:
        """Read the weights, for which no other worker waits."""
        from sampling.from_weights import load_requested

        self.denoiser = load_requested(request)

    def draw(self, request: GenerationRequest) -> np.ndarray | None:
        """The request's pictures from rank 0; None from the others, which help."""
        from sampling.from_weights import generate_pictures

        division = over_group(self.plan, self.patience)
        pictures = generate_pictures(self.denoiser, request, self._count, division)
        return pictures if self.rank == 0 else None

    def _count(self, done: int, total: int | None) -> None:
        self.done = done

    def progress(self) -> int:
        """Images that are done."""
        return self.done


def draw_in_bands(
    request: GenerationRequest, plan: BandPlan, cluster: ClusterConfig, progress: Progress
) -> np.ndarray:
    """Pictures uint8 [N, H, W, C] that `plan.workers` workers draw together.

    All of them run in one placement group and end together: where one fails or dies, the others are
    stopped and ClusterError says in one line what happened.
    """
    with ray_session(cluster) as ray:
        return draw_on_ray(ray, request, plan, cluster, progress)


def draw_on_ray(
    ray: Any,
    request: GenerationRequest,
    plan: BandPlan,
    cluster: ClusterConfig,
    progress: Progress,
) -> np.ndarray:
    """Like `draw_in_bands`, on a Ray that is connected already. ray: the module."""
    told = 0

    def tell() -> None:
        nonlocal told
        done = told
        with suppress(Exception):  # a dead worker is reported by what it draws
            done = ray.get(workers[0].progress.remote(), timeout=5.0)
        if done > told:
            told = done
            progress(done, len(request.indices))

    # The meeting lasts as long as the drawing, which makes further groups of the workers.
    with (
        _workers(ray, plan, cluster) as (workers, backend),
        _meeting(ray, workers, cluster) as meeting,
    ):
        here = str(Path.cwd())
        _wait(ray, [worker.meet.remote(meeting, backend, here) for worker in workers])
        _wait(ray, [worker.load.remote(request) for worker in workers])
        return _wait(ray, [worker.draw.remote(request) for worker in workers], tell)[0]


@contextmanager
def _workers(ray: Any, plan: BandPlan, cluster: ClusterConfig) -> Iterator[tuple[list[Any], str]]:
    """Context with one actor for each worker, all in one placement group; (actors, backend)."""
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    size = plan.workers
    gpu = cluster.use_gpu
    if gpu is None:
        gpu = ray.cluster_resources().get("GPU", 0) >= size
    # Where there are fewer GPUs than workers, none may take one: gloo moves no GPU's values.
    hidden = {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    share = processors_each(ray.nodes(), size)
    each = {"CPU": float(share), **({"GPU": 1.0} if gpu else {})}
    if not cluster.address:
        check_workers(plan, each, ray.cluster_resources())
    group = placement_group([each] * size, strategy="PACK")
    with told_while_waiting(
        ray, lambda line: print(line, flush=True), "workers", fallback=(size, each)
    ):
        ray.get(group.ready())
    actors = [
        ray.remote(BandWorker)
        .options(
            num_cpus=share,
            num_gpus=1 if gpu else 0,
            max_concurrency=2,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, rank),
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(share)} | hidden},
        )
        .remote(plan, rank, PATIENCE)
        for rank in range(size)
    ]
    try:
        yield actors, "nccl" if gpu else "gloo"
    finally:
        for actor in actors:
            with suppress(Exception):
                ray.kill(actor)
        remove_placement_group(group)


def check_workers(plan: BandPlan, each: Resources, total: Resources) -> None:
    """Raise ClusterError if a Ray of one machine can never have the plan's workers.

    each: what one takes, total: what Ray has.
    """
    setting = "cluster.band_workers (--band-workers)"
    try:
        check_room(plan.workers, each, total, setting)
    except ClusterError as error:
        have = str(error).partition(": ")[0]
        if plan.warm_up is not None:
            raise ClusterError(f"{have}: set {setting} to 0, so that one process draws") from None
        raise ClusterError(f"{error}, or to 0, so that one process draws") from None


@contextmanager
def _meeting(ray: Any, workers: list[Any], cluster: ClusterConfig) -> Iterator[Any]:
    """Context with the place where workers meet: a file on this machine, a store on a cluster."""
    if cluster.address:
        yield _wait(ray, [workers[0].host.remote()])[0]
        return
    folder = tempfile.mkdtemp(prefix="sadm-meeting-")
    try:
        yield f"{folder}/store"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(ray: Any, references: list[Any], tell: Any = lambda: None) -> list[Any]:
    """Results of one call of each worker. Raises ClusterError at the first that fails."""
    waiting = list(references)
    while waiting:
        ready, waiting = ray.wait(waiting, num_returns=1, timeout=POLL_SECONDS)
        for reference in ready:
            try:
                ray.get(reference)
            except Exception as error:
                raise ClusterError(_what_failed(ray, references, error)) from error
        tell()
    return ray.get(references)


def _what_failed(ray: Any, references: list[Any], first: Exception) -> str:
    """One line: which worker died, or what the first failure says where none did."""
    ray.wait(references, num_returns=len(references), timeout=OTHER_FAILURE_SECONDS)
    for rank, reference in enumerate(references):
        if ray.wait([reference], timeout=0)[0]:
            try:
                ray.get(reference)
            except ray.exceptions.RayActorError:
                return (
                    f"worker {rank} of {len(references)}, which share each image, died (killed, or "
                    "out of memory), so the others were stopped: run the same command again, or "
                    "use fewer workers"
                )
            except Exception:
                continue
    return root_cause(first).replace("training failed", "drawing in bands failed", 1)
