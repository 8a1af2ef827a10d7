"""Opens the MLflow run of a stage, attaches it to its parent run and ends it with its true status.

Tracking changes no result and ends no training: if the run store does not open, one line says so,
and the stage gets a StageRun that does nothing.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.settings.dotted_keys import flatten, select
from pipelines.settings.tracking import TrackingConfig
from pipelines.tracking.connection import open_run_store, system_monitor
from pipelines.tracking.deliver import deliver
from pipelines.tracking.live_run import StageRun, one_line, say
from pipelines.tracking.open_runs import open_child, open_parent
from pipelines.tracking.provenance import dvc_tags, git_tags, owner_tags, process_tags
from pipelines.tracking.run_names import JUDGED_BY
from pipelines.tracking.run_store import RunStore
from pipelines.tracking.spool import Spool, store_key
from pipelines.tracking.stop_signals import STOPPED, stop_signals
from pipelines.tracking.store_address import store_address

WITH_PICTURES = ("train", "distil", "summarize")
"""Stages whose runs hold picture cards. MLflow writes all params of a run above each picture, so
these keep theirs in the file params.json; the parent has all of them."""

__all__ = ["JUDGED_BY", "RunStore", "StageRun", "TrackingConfig", "stage_run"]


@contextmanager
def stage_run(
    stage: str,
    params: Any,
    pipeline_tag: str,
    fingerprint: str,
    *,
    root: Path,
    item: str | None = None,
    notes: str | None = None,
    fresh: bool = False,
    param_keys: Sequence[str] | None = None,
) -> Iterator[StageRun]:
    """Context that opens this stage's child run, and ends it with its true status.

    The parent is found or created by the tag `pipeline`. A child of the same stage, item and
    fingerprint is resumed, so that a resumed training continues its curves; with `fresh` a new
    child is made. The child ends as FINISHED, FAILED (with the tag `error`) or KILLED (Ctrl-C,
    SIGTERM, SIGHUP). The parent ends with it if the stage did not succeed; otherwise `summarize`
    ends it. What the store does not take waits on disk for a later start (spool.py).

    Args:
        stage: name in dvc.yaml.
        item: name of the matrix item, such as "0.05-default".
        params: the whole settings; only `.tracking` and `.model_dump(mode="json")` are used.
        root: DVC_ROOT, the folder of mlflow.db. Git tags are those of the current folder.
        notes: markdown for the child's description.
        param_keys: dotted keys that the child logs, or keeps as a file if it shows pictures; by
            default stage_code.STAGE_PARAMS[stage].
    """
    run, ends_parent, monitor = StageRun(), stage == "summarize", None
    if params.tracking.enabled:
        header: dict[str, Any] = {}
        try:
            flat = flatten(params.model_dump(mode="json"))
            if param_keys is None:
                from pipelines.workspace.stage_code import STAGE_PARAMS

                param_keys = STAGE_PARAMS.get(stage, ())
            own = select(flat, param_keys)
            now = _tags_now()
            header = {
                "store": store_key(store_address(params.tracking, Path(root).resolve())),
                **{"stage": stage, "item": item, "fingerprint": fingerprint},
                "pipeline": pipeline_tag,
                "flat": flat,
                "own": {} if stage in WITH_PICTURES else own,
                "parent_tags": {**now, **owner_tags()},
                "child_tags": {**now, **process_tags()},
            }
            store = open_run_store(params.tracking, root)
            deliver(store, root)
            parent, was_finished = open_parent(store, header)
            ends_parent = ends_parent or was_finished
            run = open_child(store, parent, header, fresh=fresh)
            for one, level in ((run, "stage"), (parent, "parent")):
                one.spool = Spool(root, {**header, "level": level, "run_id": one.run_id})
            if not header["own"]:
                run.log_dict(own, "params.json")
            run.set_tags({"mlflow.note.content": notes} if notes else {})
            monitor = system_monitor(store, run) if params.tracking.system_metrics else None
        except Exception as error:
            run = StageRun(spool=Spool(root, {**header, "level": "stage"}) if header else None)
            waits = "; its numbers wait in .runs for a later start" if header else ""
            say(f"MLflow did not start; {stage} goes on without tracking{waits}: {one_line(error)}")
    status, failure = "FINISHED", None
    try:
        with stop_signals(_leave):
            yield run
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) or (
            isinstance(error, SystemExit) and error.code in STOPPED
        )
        if not (isinstance(error, SystemExit) and error.code in (None, 0)):
            status = "KILLED" if stopped else "FAILED"
            failure = None if stopped else error
        raise
    finally:
        if monitor is not None:
            monitor.finish()
        run.end(status, failure)
        if run.parent is not None:
            run.parent.flush()
            if ends_parent or run.parent.complete or status != "FINISHED":
                run.parent.end(status, failure)


def _tags_now() -> dict[str, str]:
    """Tags of this process: git, DVC, command."""
    source = {"mlflow.source.name": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]}
    return {**git_tags(), **dvc_tags(), **source}


def _leave(signum: int, frame: Any) -> None:
    """Turns a signal into SystemExit, so that files are closed and the run ends as KILLED."""
    raise SystemExit(128 + signum)
