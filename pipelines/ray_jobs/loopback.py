"""Keeps a Ray of this machine on 127.0.0.1: its own servers, and the meeting of torch's workers.

Ray binds its servers to every interface, unless its node is called 127.0.0.1. On Linux it replaces
that name by the machine's address, except where clusters are switched off: so a local session
switches them off. torch's store of addresses would listen on every interface too: the workers of
one machine meet in a file instead, and gloo and NCCL are told to use the loopback interface.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

ADDRESS = "127.0.0.1"
INTERFACE = "lo0" if sys.platform == "darwin" else "lo"

SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Ray has no switch for these two servers of metrics; without a valid port they do not start.
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
}

RAY_OPTIONS: dict[str, Any] = {
    "_node_ip_address": ADDRESS,
    "_system_config": {"enable_metrics_collection": False},
}
"""What ray.init is given for a local Ray."""

WORKER_ENVIRONMENT = {"GLOO_SOCKET_IFNAME": INTERFACE, "NCCL_SOCKET_IFNAME": INTERFACE}


@contextmanager
def ray_on_loopback() -> Iterator[None]:
    """Context in which ray.init, with RAY_OPTIONS, starts servers on 127.0.0.1 only."""
    from ray._private import ray_constants

    before = {name: os.environ.get(name) for name in SETTINGS}
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    os.environ.update(SETTINGS)  # Ray's own processes read them
    ray_constants.ENABLE_RAY_CLUSTER = False  # and this one has read them already
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clusters
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def local_torch_config(backend: str) -> Any:
    """Ray Train's TorchConfig for workers on one machine, which meet in a file.

    backend: of torch.distributed, "gloo" or "nccl".
    """
    from ray.train.backend import Backend
    from ray.train.torch import TorchConfig

    class MeetInFile(Backend):
        share_cuda_visible_devices = True

        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            import ray

            self.folder = tempfile.mkdtemp(prefix="sadm-meeting-")
            size = len(worker_group)
            joined = [
                worker_group.execute_single_async(
                    rank, _join, f"{self.folder}/store", rank, size, backend_config.backend
                )
                for rank in range(size)
            ]
            ray.get(joined)

        def on_shutdown(self, worker_group: Any, backend_config: Any) -> None:
            worker_group.execute(_leave)
            shutil.rmtree(self.folder, ignore_errors=True)

    @dataclass
    class LocalTorchConfig(TorchConfig):
        @property
        def backend_cls(self) -> type[Backend]:
            return MeetInFile

    return LocalTorchConfig(backend=backend)


def _join(file: str, rank: int, size: int, backend: str) -> None:
    """Runs in each worker: make the process group, and set what torchrun would set."""
    import ray.train
    import torch.distributed as dist

    context = ray.train.get_context()
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(context.get_local_rank()),
        "LOCAL_WORLD_SIZE": str(context.get_local_world_size()),
        "NODE_RANK": str(context.get_node_rank()),
    }
    dist.init_process_group(
        backend,
        store=dist.FileStore(file, size),
        rank=rank,
        world_size=size,
        timeout=timedelta(minutes=30),
    )


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()
