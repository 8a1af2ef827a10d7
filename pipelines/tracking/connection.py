"""The one module that imports mlflow: it opens the run store."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from evaluation.metric_table import metric_entry, shown, shown_with_floors
from pipelines.settings.tracking import TrackingConfig
from pipelines.tracking.live_run import StageRun, one_line, say
from pipelines.tracking.run_store import RunStore
from pipelines.tracking.store_address import artifact_address, store_address

# MLflow's page shows the first line of the note; the arrow beside it unfolds the rest.
EXPERIMENT_NOTE = """\
One parent run per result; its children are the stages. The arrow at the right: names, filters.

A name reads: data set, form of the game, seed, what differs from the closest preset, fingerprint.
Steps count images. Filters, for example:

- ``tags.level = 'parent'``
- ``tags.`structure.kind` = 'graph'``
- ``tags.preset = 'digits'``
- ``tags.`git.dirty` = 'false'``
- ``tags.`dvc.experiment` = 'control'``
"""

VIEW = "results"

VIEW_TAGS = ("structure.kind", "gate.open_fraction", "preset", "git.dirty", "dvc.experiment")


def runs_page(experiment_id: str) -> str:
    """Path of the runs table in the UI, with the columns that matter."""
    query = f"workflowType=machine_learning&viewStateShareKey={VIEW}"
    return f"/#/experiments/{experiment_id}/runs?{query}"


def open_run_store(config: TrackingConfig, root: Path) -> RunStore:
    """Open the run store; create the file and the experiment where they are missing.

    One process does so at a time, since sqlite cannot be created by several at once.
    """
    _quieten()
    import filelock
    from mlflow import entities
    from mlflow.tracking import MlflowClient

    root = Path(root).resolve()
    uri = store_address(config, root)
    (root / ".runs").mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(root / ".runs" / "mlflow.lock", timeout=120)
    with lock:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(config.experiment)
        if experiment is not None:
            experiment_id = experiment.experiment_id
            if experiment.lifecycle_stage == "deleted":
                say(f"MLflow: experiment {config.experiment!r} lay in the trash; restored")
                client.restore_experiment(experiment_id)
            return RunStore(client, entities, experiment_id, uri, lock)
        artifacts = artifact_address(config, root)
        experiment_id = client.create_experiment(config.experiment, artifact_location=artifacts)
        for key, value in _experiment_tags().items():
            client.set_experiment_tag(experiment_id, key, value)
    return RunStore(client, entities, experiment_id, uri, lock)


def _experiment_tags() -> dict[str, str]:
    columns = [f"metrics.`{name}`" for name in shown_with_floors("MLflow column")]
    columns += ["params.`seed`", *(f"tags.`{name}`" for name in VIEW_TAGS), "attributes.`Duration`"]
    primary = shown("choice")[0]
    view = {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "runsExpanded": {},
    }
    return {
        "mlflow.note.content": EXPERIMENT_NOTE,
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.experiment.primaryMetric.name": primary,
        "mlflow.experiment.primaryMetric.greaterIsBetter": str(
            metric_entry(primary).better == "up"
        ),
        f"mlflow.sharedViewState.{VIEW}": json.dumps(view),
    }


def system_monitor(store: RunStore, run: StageRun) -> Any | None:
    """Start MLflow's thread that samples processor, memory, disk and GPU use; None if it fails."""
    try:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(
            run.run_id, resume_logging=run.resumed, tracking_uri=store.uri
        )
        monitor.start()
    except Exception as error:
        say(f"MLflow does not sample the system's load: {one_line(error)}")
        return None
    return monitor


def _quieten() -> None:
    """Switch off MLflow's messages on migrations and telemetry; its warnings are still shown."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Without these limits, a server that does not answer would delay a training for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    for name in ("mlflow", "alembic", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # They print the whole trace of an error that is raised as well, or a line for each new try.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)
