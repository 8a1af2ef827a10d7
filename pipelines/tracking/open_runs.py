"""Finds or creates a stage's runs in an open run store: the parent of a result, and its child."""

from collections.abc import Mapping
from typing import Any

from pipelines.tracking.live_run import StageRun
from pipelines.tracking.run_names import (
    change_note,
    child_name,
    closest_preset,
    dataset_name,
    differences,
    load_presets,
    parent_name,
)
from pipelines.tracking.run_store import RunStore


def open_parent(store: RunStore, stage: Mapping[str, Any]) -> tuple[StageRun, bool]:
    """Find or create the parent: (the run, whether it was FINISHED, so that this stage ends it).

    stage: `pipeline` (its tag), `flat` (settings by dotted key), `parent_tags` (of the process).
    """
    tag, flat = stage["pipeline"], stage["flat"]
    now: dict[str, Any] = {"level": "parent", "pipeline": tag, **stage["parent_tags"]}
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


def open_child(
    store: RunStore, parent: StageRun, stage: Mapping[str, Any], *, fresh: bool = False
) -> StageRun:
    """Resume the child of the same stage, item and fingerprint, or create it.

    stage: these three, `pipeline`, `own` (the params it logs), `child_tags` (of the process).
    """
    names = {name: stage[name] for name in ("stage", "item", "fingerprint")}
    tags = {"mlflow.parentRunId": parent.run_id, "level": "stage", "pipeline": stage["pipeline"]}
    tags |= {name: value for name, value in names.items() if value is not None}
    name = child_name(str(names["stage"]), names["item"])
    with store.lock:
        for found in [] if fresh else store.search({**tags, **names}):
            if found.info.status == "RUNNING":  # another living process writes to it
                continue
            run = StageRun(store, found.info.run_id, resumed=True, parent=parent)
            store.resume(found, name)
            run.set_tags(stage["child_tags"])
            return run
        run = StageRun(store, store.create(name, {**tags, **stage["child_tags"]}), parent=parent)
        store.write(run.run_id, params=stage["own"])
        return run


def _as_text(flat: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:6000] for name, value in flat.items()}
