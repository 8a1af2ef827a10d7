"""Opens the MLflow run of a stage, attaches it to its parent run and ends it with its true status.

Tracking changes no result and ends no training: if the run store does not open, one line says so,
and the stage gets a StageRun that does nothing.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.settings.dotted_keys import flatten, select
from pipelines.settings.tracking import TrackingConfig
from pipelines.tracking.connection import open_run_store, system_monitor
from pipelines.tracking.live_run import StageRun, one_line, say
from pipelines.tracking.provenance import dvc_tags, git_tags, owner_tags, process_tags
from pipelines.tracking.run_names import (
    JUDGED_BY,
    change_note,
    child_name,
    closest_preset,
    dataset_name,
    differences,
    load_presets,
    parent_name,
)
from pipelines.tracking.run_store import RunStore
from pipelines.tracking.stop_signals import STOPPED, stop_signals

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
    SIGTERM, SIGHUP). The parent ends with it if the stage did not succeed; otherwise `summarize` ends it.

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
        try:
            store = open_run_store(params.tracking, root)
            flat = flatten(params.model_dump(mode="json"))
            parent, was_finished = _open_parent(store, flat, pipeline_tag)
            ends_parent = ends_parent or was_finished
            if param_keys is None:
                from pipelines.workspace.stage_code import STAGE_PARAMS

                param_keys = STAGE_PARAMS.get(stage, ())
            own = select(flat, param_keys)
            names = {"stage": stage, "item": item, "fingerprint": fingerprint}
            logged = {} if stage in WITH_PICTURES else own
            run = _open_child(store, parent, names, pipeline_tag, logged, fresh)
            if not logged:
                run.log_dict(own, "params.json")
            run.set_tags({"mlflow.note.content": notes} if notes else {})
            monitor = system_monitor(store, run) if params.tracking.system_metrics else None
        except Exception as error:
            say(f"MLflow did not start; {stage} goes on without tracking: {one_line(error)}")
            run = StageRun()
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


def _open_parent(store: RunStore, flat: Mapping[str, Any], tag: str) -> tuple[StageRun, bool]:
    """Find or create the parent: (the run, whether it was FINISHED, so that this stage ends it)."""
    now = {"level": "parent", "pipeline": tag, **_tags_now(), **owner_tags()}
    with store.lock:
        store.mark_dead_killed(tag)
        found = store.search({"level": "parent", "pipeline": tag})
        if found:
            was_finished = found[0].info.status == "FINISHED"
            parent = StageRun(store, found[0].info.run_id, resumed=True)
            store.resume(found[0])
            parent.set_tags(now)
            return parent, was_finished
        closest = closest_preset(flat, load_presets())
        preset, changed = closest or ("", {})
        now |= {"structure.kind": flat.get("structure.kind", "none"), "preset": preset}
        now |= {"preset.changes": str(len(changed)), "dataset": dataset_name(flat)}
        earlier = store.search({"level": "parent"})
        if earlier:
            changes = differences(earlier[0].data.params, _as_text(flat))
            now["mlflow.note.content"] = change_note(changes, earlier[0].info.run_name)
        name = parent_name(flat, tag, changed)
        parent = StageRun(store, store.create(name, now))
        store.write(parent.run_id, params=flat)
        return parent, False


def _open_child(
    store: RunStore,
    parent: StageRun,
    names: Mapping[str, str | None],
    pipeline_tag: str,
    own_params: Mapping[str, Any],
    fresh: bool,
) -> StageRun:
    """Resume the child of the same stage, item and fingerprint, or create it."""
    tags = {"mlflow.parentRunId": parent.run_id, "level": "stage", "pipeline": pipeline_tag}
    tags |= {name: value for name, value in names.items() if value is not None}
    now = {**_tags_now(), **process_tags()}
    name = child_name(str(names["stage"]), names["item"])
    with store.lock:
        for found in [] if fresh else store.search({**tags, **names}):
            if found.info.status == "RUNNING":  # another living process writes to it
                continue
            run = StageRun(store, found.info.run_id, resumed=True, parent=parent)
            store.resume(found, name)
            run.set_tags(now)
            return run
        run = StageRun(store, store.create(name, {**tags, **now}), parent=parent)
        store.write(run.run_id, params=own_params)
        return run


def _tags_now() -> dict[str, str]:
    """Tags of this process: git, DVC, command."""
    source = {"mlflow.source.name": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]}
    return {**git_tags(), **dvc_tags(), **source}


def _as_text(flat: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:6000] for name, value in flat.items()}


def _leave(signum: int, frame: Any) -> None:
    """Turns a signal into SystemExit, so that files are closed and the run ends as KILLED."""
    raise SystemExit(128 + signum)
