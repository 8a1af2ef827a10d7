"""Connects to a Ray cluster, or starts one for the length of a block."""

import json
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from pipelines.ray_jobs.loopback import (
    ADDRESS,
    RAY_OPTIONS,
    WORKER_ENVIRONMENT,
    ray_on_loopback,
)
from pipelines.settings.cluster import ClusterConfig
from pipelines.workspace.paths import dvc_root
from pipelines.workspace.removable import MARK, mark_of
from pipelines.workspace.user import home, may_keep_files


class ClusterError(RuntimeError):
    """Ray could not be reached, or its workers failed."""


@contextmanager
def ray_session(cluster: ClusterConfig, *, dashboard: bool = False) -> Iterator[Any]:
    """Connect to `cluster.address`, or start a Ray on this machine for the length of the block.

    Yields the module ray. Raises ClusterError if the address does not answer or Ray does not start.
    """
    # Metrics export and usage statistics would look for servers that a laptop does not have.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DISABLE_MEMORY_MONITOR", "0")
    import ray

    runtime: dict[str, Any] = {"env_vars": _worker_environment(cluster)}
    options: dict[str, Any] = {}
    if cluster.address:
        check_address(cluster.address)
        runtime |= {
            "working_dir": str(Path.cwd()),
            "excludes": ["outputs", "reports", ".runs", ".venv", ".dvc", ".git", "mlruns", "*.db"],
        }
        options["address"] = cluster.address
    else:
        # "local", since Ray would otherwise join any cluster that already runs on this machine
        if os.environ.get("RAY_ADDRESS"):
            print(
                "cluster.address is null, so this runs on a Ray of its own: "
                "RAY_ADDRESS is not used",
                flush=True,
            )
        options |= {
            "address": "local",
            "include_dashboard": dashboard,
            "dashboard_host": ADDRESS,
            **RAY_OPTIONS,
        }
        _keep_token_in_memory()
    # Other Ray clusters, to which this process may connect later, keep their own addresses.
    place = nullcontext() if cluster.address else ray_on_loopback()
    with place:
        try:
            with _sigterm_kept():
                ray.init(
                    runtime_env=runtime,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    configure_logging=True,
                    **options,
                )
        except (OSError, RuntimeError, ValueError) as error:
            where = f"cluster.address {cluster.address!r}" if cluster.address else "a local Ray"
            raise ClusterError(
                f"{where} could not be used: {str(error).splitlines()[0]}"
            ) from error
        if not cluster.address:
            _mark_session()
        try:
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Context in which Ray starts: SIGTERM keeps its handler; Ray's own would abort the process."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _mark_session() -> None:
    """Note in Ray's folder of this session whose it is: pipelines.clean removes only our own."""
    from ray._private import worker

    node = worker._global_node
    if node is None:
        return
    with suppress(OSError):
        Path(node.get_session_dir_path(), MARK).write_text(mark_of(dvc_root()))


def _keep_token_in_memory() -> None:
    """Make the token of a local Ray here if Ray could not write its own to ~/.ray/auth_token."""
    folder = home()
    kept = folder is not None and (folder / ".ray" / "auth_token").is_file()
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    if not given and not kept and not may_keep_files(folder and folder / ".ray"):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def check_address(address: str, patience_s: float = 5.0) -> None:
    """Raise ClusterError if nothing answers at host:port; Ray itself would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto" or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=patience_s).close()
    except OSError as error:
        raise ClusterError(
            f"cluster.address {address!r} does not answer ({error}): start Ray there "
            "(ray start --head), correct the address, or set it to null"
        ) from error


def hide_gpus(cluster: ClusterConfig) -> None:
    """If cluster.use_gpu is false, hide all GPUs from this process and the Ray that it starts."""
    if cluster.use_gpu is False:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _worker_environment(cluster: ClusterConfig) -> dict[str, str]:
    """Variables that share the processors among workers, and make them import this code."""
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
        environment |= WORKER_ENVIRONMENT
        # Workers of a copy of the project must not import the code of the installed checkout.
        here = str(Path.cwd())
        if os.pathsep in here:
            raise ClusterError(
                f"Ray's workers cannot find code in {here}, since {os.pathsep!r} separates folders "
                "in PYTHONPATH: rename the folder, or set cluster.num_workers to 0"
            )
        environment["PYTHONPATH"] = os.pathsep.join(
            [here, *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    return environment


def root_cause(error: BaseException) -> str:
    """One line with the worker's own message, from inside the errors that Ray wraps around it."""
    failures = getattr(error, "worker_failures", None) or {}
    inner: BaseException = next(iter(failures.values()), error)
    while (cause := getattr(inner, "cause", None) or inner.__cause__) is not None:
        if not isinstance(cause, BaseException):
            break
        inner = cause
    lines = [line.strip() for line in str(inner).strip().splitlines()] or [type(inner).__name__]
    # A message may have several lines; of an error that Ray passes on as text the last one counts.
    text = lines[-1] if any(line.startswith("Traceback") for line in lines) else " ".join(lines)
    return f"training failed: {text}"


def describe_cluster(cluster: ClusterConfig) -> str:
    """Words for a message: where training runs."""
    if cluster.fewest_workers == 0:
        return "in this process"
    where = f"on the Ray cluster at {cluster.address}" if cluster.address else "on a local Ray"
    return f"with {json.dumps(cluster.num_workers)} workers {where}"


def local_precision_note(precision: str, cluster: ClusterConfig) -> str | None:
    """What precision_note says of this machine's GPU or processor; None if it does not train."""
    if precision != "bf16" or cluster.address:
        return None
    import torch

    from training.precision_speed import precision_note

    gpus = torch.cuda.device_count() if cluster.use_gpu is not False else 0
    kind = "cuda" if gpus >= max(1, cluster.fewest_workers) else "cpu"
    return precision_note(precision, torch.device(kind))
