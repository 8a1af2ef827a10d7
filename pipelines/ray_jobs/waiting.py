"""Says what a cluster waits for while it has no room for the workers or trials that are wanted."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipelines.ray_jobs.session import ClusterError

PATIENCE_SECONDS = 15.0
"""So long may a cluster take to make room before a line says that it waits."""
AGAIN_SECONDS = 120.0
"""A line for each such time that the wait goes on."""

Resources = Mapping[str, float]


def waiting_line(
    count: int, each: Resources, free: Resources, total: Resources, what: str = "workers"
) -> str:
    """ "2 workers wanted, 1 processor free", and a mend if the cluster is too small for ever.

    each: resources of one worker, such as {"CPU": 1.0}; free, total: of the cluster.
    """
    needs = {kind: amount for kind, amount in each.items() if kind in ("CPU", "GPU") and amount}
    size = " and ".join(_amount(kind, n) for kind, n in needs.items() if n != 1)
    wanted = f"{count} {what if count != 1 else what.removesuffix('s')}"
    # What is short is named; several small nodes may have enough in sum and none for a worker.
    short = [kind for kind, n in needs.items() if free.get(kind, 0.0) < n * count] or list(needs)
    have = ", ".join(_amount(kind, free.get(kind, 0.0)) for kind in short)
    line = f"waiting: {wanted}{f' of {size}' if size else ''} wanted, {have} free"
    for kind in short:
        if total.get(kind, 0.0) < needs[kind] * count:
            return f"{line}; the cluster has {_amount(kind, total.get(kind, 0.0))} in all"
    return line


def check_room(
    count: int, each: Resources, total: Resources, setting: str = "cluster.num_workers"
) -> None:
    """Raise ClusterError if a Ray of one machine can never have so many workers.

    setting: what asks for them, for the mend.
    """
    for kind in each.keys() & {"CPU", "GPU"}:
        have = total.get(kind, 0.0)
        if have < count * each[kind]:
            fit = int(have // each[kind]) if each[kind] else count
            mend = f"set {setting} to {fit}" if fit else "set cluster.use_gpu to null"
            raise ClusterError(
                f"{count} worker{'s' if count != 1 else ''} wanted, and this machine has "
                f"{_amount(kind, have)}: {mend}"
            )


def _amount(kind: str, number: float) -> str:
    name = {"CPU": "processor", "GPU": "GPU"}[kind]
    return f"{number:g} {name}{'' if number == 1 else 's'}"


def room(ray: Any) -> tuple[Resources, Resources]:
    """(free, total) resources of the cluster."""
    return ray.available_resources(), ray.cluster_resources()


class PendingGroups:
    """Watches the placement groups of this Ray job, in which Ray Train and Tune ask for room.

    ray: the module. fallback: (count, each) of workers that should have a group; if they have none
    at all, they wait too, as an elastic group does that finds less room than its least.
    """

    def __init__(self, ray: Any, fallback: tuple[int, Resources] | None = None):
        self.ray, self.fallback = ray, fallback

    def __call__(self) -> tuple[int, Resources] | None:
        """What is wanted and has no room now, as (count, each); None if nothing waits."""
        from ray.util import placement_group_table

        job = self.ray.get_runtime_context().get_job_id()
        states: dict[str, list[list[Resources]]] = {}
        for entry in placement_group_table().values():
            if entry["placement_group_id"].endswith(job):
                bundles: list[Resources] = [dict(bundle) for bundle in entry["bundles"].values()]
                states.setdefault(entry["state"], []).append(bundles)
        # A group is made anew (RESCHEDULING) after a node with a part of it was lost.
        waiting = [*states.get("PENDING", []), *states.get("RESCHEDULING", [])]
        if self.fallback is None:
            sums = [_sum(group) for group in waiting]
            sums = [each for each in sums if each.get("CPU") or each.get("GPU")]
            return (len(sums), sums[0]) if sums else None
        _, each = self.fallback
        for group in waiting:
            if _alike(group, each):
                return len(group), each
        made = [*states.get("CREATED", []), *states.get("PREPARED", [])]
        return None if any(_alike(group, each) for group in made) else self.fallback


def _alike(bundles: list[Resources], each: Resources) -> bool:
    return bool(bundles) and all(bundle == each for bundle in bundles)


def _sum(bundles: list[Resources]) -> Resources:
    kinds = {kind for bundle in bundles for kind in bundle}
    return {kind: sum(bundle.get(kind, 0.0) for bundle in bundles) for kind in sorted(kinds)}


class Patience:
    """Called often: says a line when something has waited for long, and again from time to time."""

    def __init__(
        self,
        look: Callable[[], tuple[int, Resources] | None],
        resources: Callable[[], tuple[Resources, Resources]],
        say: Callable[[str], None],
        what: str = "workers",
        clock: Callable[[], float] = time.monotonic,
    ):
        self.look, self.resources, self.say, self.what = look, resources, say, what
        self.clock = clock
        self.since: float | None = None
        self.said: float | None = None

    def __call__(self) -> None:
        wanted, now = self.look(), self.clock()
        if wanted is None:
            self.since = self.said = None
            return
        self.since = now if self.since is None else self.since
        last = self.since + PATIENCE_SECONDS if self.said is None else self.said + AGAIN_SECONDS
        if now >= last:
            self.said = now
            self.say(waiting_line(*wanted, *self.resources(), self.what))


@contextmanager
def told_while_waiting(
    ray: Any,
    say: Callable[[str], None],
    what: str = "workers",
    fallback: tuple[int, Resources] | None = None,
    every_s: float = 5.0,
) -> Iterator[None]:
    """Context in which `say` is called, from a thread, with a line while workers wait for room."""
    stop = threading.Event()
    patience = Patience(PendingGroups(ray, fallback), lambda: room(ray), say, what)

    def watch() -> None:
        while not stop.wait(every_s):
            try:
                patience()
            except Exception:  # Ray is shutting down, or a node is gone: what fails says why
                continue

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
