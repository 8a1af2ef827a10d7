"""A cluster without room says what it waits for, once it has waited for long."""

from types import SimpleNamespace

import pytest

from pipelines.ray_jobs.session import ClusterError
from pipelines.ray_jobs.tasks import _wait_for_room
from pipelines.ray_jobs.waiting import (
    AGAIN_SECONDS,
    PATIENCE_SECONDS,
    Patience,
    PendingGroups,
    check_room,
    waiting_line,
)
from pipelines.replicate import _show

CPU = {"CPU": 1.0}


@pytest.mark.parametrize(
    ("count", "each", "free", "total", "line"),
    [
        (2, CPU, {"CPU": 1.0}, {"CPU": 4.0}, "waiting: 2 workers wanted, 1 processor free"),
        (1, CPU, {}, {"CPU": 1.0}, "waiting: 1 worker wanted, 0 processors free"),
        (
            3,
            CPU,
            {"CPU": 2.0},
            {"CPU": 2.0},
            "waiting: 3 workers wanted, 2 processors free; the cluster has 2 processors in all",
        ),
        (
            2,
            {"CPU": 2.0, "GPU": 1.0},
            {"CPU": 8.0, "GPU": 1.0},
            {"CPU": 8.0, "GPU": 4.0},
            "waiting: 2 workers of 2 processors wanted, 1 GPU free",
        ),
        (
            1,
            {"CPU": 4.0},
            {"CPU": 6.0},
            {"CPU": 6.0},
            "waiting: 1 worker of 4 processors wanted, 6 processors free",
        ),
    ],
)
def test_the_line_says_what_is_wanted_and_what_is_free(count, each, free, total, line):
    assert waiting_line(count, each, free, total) == line


def test_other_things_than_workers_may_wait():
    line = waiting_line(1, {"CPU": 2.0}, CPU, {"CPU": 4.0}, "trials")
    assert line == "waiting: 1 trial of 2 processors wanted, 1 processor free"


def test_a_short_wait_is_not_told_and_a_long_one_again_and_again():
    now, lines, wanted = [0.0], [], [None]
    patience = Patience(
        lambda: wanted[0], lambda: ({}, {"CPU": 2.0}), lines.append, clock=lambda: now[0]
    )

    def at(seconds: float) -> int:
        now[0] = seconds
        patience()
        return len(lines)

    assert at(1000) == 0
    wanted[0] = (1, CPU)
    assert [at(1001), at(1000 + PATIENCE_SECONDS)] == [0, 0]
    assert [at(1001 + PATIENCE_SECONDS), at(1010 + PATIENCE_SECONDS)] == [1, 1]
    assert at(1001 + PATIENCE_SECONDS + AGAIN_SECONDS) == 2
    wanted[0] = None
    at(2000)
    wanted[0] = (1, CPU)  # a node was lost, and the workers wait anew
    assert [at(2001), at(2001 + PATIENCE_SECONDS)] == [2, 3]


def test_groups_of_this_job_alone_are_looked_at(monkeypatch):
    table = {}
    monkeypatch.setattr("ray.util.placement_group_table", lambda: table)
    ray = SimpleNamespace(
        get_runtime_context=lambda: SimpleNamespace(get_job_id=lambda: "02000000")
    )

    def put(name: str, state: str, *bundles: dict, job: str = "02000000") -> None:
        table[name] = {
            "placement_group_id": name + job,
            "state": state,
            "bundles": dict(enumerate(bundles)),
        }

    workers, trials = PendingGroups(ray, (2, CPU)), PendingGroups(ray)
    assert workers() == (2, CPU), "an elastic group asks for room only where it would find it"
    assert trials() is None
    put("a", "CREATED", CPU, CPU, job="01000000")
    assert workers() == (2, CPU)
    put("b", "PENDING", CPU, CPU, CPU)
    assert workers() == (3, CPU) and trials() == (1, {"CPU": 3.0})
    put("b", "CREATED", CPU, CPU, CPU)
    assert workers() is None and trials() is None
    put("b", "RESCHEDULING", CPU, CPU)  # a node was lost
    assert workers() == (2, CPU) and trials() == (1, {"CPU": 2.0})
    put("b", "CREATED", CPU, CPU)
    put("d", "PENDING", {"memory": 1.0})  # of a trial whose workers ask for themselves
    assert trials() is None
    put("b", "REMOVED", CPU, CPU)
    put("c", "PENDING", {"CPU": 2.0, "memory": 1.0})
    assert workers() == (2, CPU) and trials() == (1, {"CPU": 2.0, "memory": 1.0})


def test_one_machine_is_not_waited_for_in_vain():
    check_room(2, CPU, {"CPU": 2.0})
    with pytest.raises(ClusterError, match="3 workers wanted, and this machine has 2 processors: "):
        check_room(3, CPU, {"CPU": 2.0})
    with pytest.raises(ClusterError, match=r"has 0 GPUs: set cluster\.use_gpu to null"):
        check_room(1, {"GPU": 1.0}, {"CPU": 2.0})


def test_tasks_say_what_they_wait_for(monkeypatch, capsys):
    monkeypatch.setattr("pipelines.ray_jobs.waiting.PATIENCE_SECONDS", 0.0)
    asked, answers = [], iter([([], ["task"]), (["task"], [])])

    def options(**given):
        asked.append(given)
        return SimpleNamespace(remote=lambda: "task")

    ray = SimpleNamespace(
        remote=lambda function: SimpleNamespace(options=options),
        wait=lambda tasks, timeout: next(answers),
        available_resources=lambda: CPU,
        cluster_resources=lambda: {"CPU": 4.0},
    )
    _wait_for_room(ray, {"num_cpus": 2, "num_gpus": 0})
    assert asked == [{"num_cpus": 2, "num_gpus": 0}]
    line = "waiting: 1 task of 2 processors wanted, 1 processor free\n"
    assert capsys.readouterr().out == line
    _show(line.strip())  # replicate passes on what the stage in DVC's copy prints
    _show("0.1/0.2 kimg")
    assert capsys.readouterr().out == f"  {line}"
