"""The word for how a run stands, which MLflow's five statuses do not tell."""

from typing import Any

from pipelines.tracking.provenance import is_dead

UNFINISHED = "unfinished"
"""Tag, and word, of a parent run whose process ended by itself before `summarize` had run.

`dvc repro STAGE` leaves such a run. MLflow has no status for it: it is KILLED there, since RUNNING
would be untrue.
"""


def status_word(run: Any) -> str:
    """ "finished", "running", "failed", "killed", or "unfinished"."""
    tags = run.data.tags
    status = str(run.info.status).lower()
    parent = tags.get("level") == "parent"
    if parent and ((status == "running" and is_dead(tags)) or tags.get(UNFINISHED) == "true"):
        return UNFINISHED
    return status
