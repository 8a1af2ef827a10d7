"""The MLflow store of runs behind methods that take and return plain data."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.tracking.provenance import is_dead
from pipelines.tracking.run_names import JUDGED_BY, SHOWN_AGAIN, child_name
from pipelines.tracking.run_note import NOTE, PICTURES, results_of, with_results
from pipelines.tracking.run_status import UNFINISHED
from pipelines.workspace.user import user_name

RESTORED = (
    *("prepare", "reference", "attributes", "evaluate", "distil", "evaluate_students"),
    "summarize",
)
"""Stages besides those that train, whose runs a parent shows that trained to the same bytes."""


@dataclass(frozen=True)
class RunStore:
    """An open MLflow store and one experiment in it; `connection.open_run_store` makes it."""

    client: Any
    """MlflowClient."""
    entities: Any
    """The module mlflow.entities, whose classes the client takes."""
    experiment_id: str
    uri: str
    lock: Any
    """A process holds it while it looks for a run and creates one if there is none."""

    def search(self, tags: Mapping[str, str | None], status: str | None = None) -> list[Any]:
        """All runs with these tags and status, newest first; tags of value None are ignored."""
        parts = [f"tags.`{name}` = '{value}'" for name, value in tags.items() if value is not None]
        if status is not None:
            parts.append(f"attributes.status = '{status}'")
        found, token = [], None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                " and ".join(parts),
                order_by=["attributes.start_time DESC"],
                max_results=1000,
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found

    def create(self, name: str, tags: Mapping[str, str]) -> str:
        """A new RUNNING run; returns its id."""
        user = {"mlflow.user": user_name(), "mlflow.source.type": "LOCAL"}
        run = self.client.create_run(self.experiment_id, tags={**user, **tags}, run_name=name)
        return run.info.run_id

    def resume(self, run: Any, name: str | None = None) -> None:
        """Make a run RUNNING again, without its tags about its end or another run that made it."""
        for tag in ("error", "made_by", "made_by.name", UNFINISHED):
            if tag in run.data.tags:
                self.client.delete_tag(run.info.run_id, tag)
        if "made_by" in run.data.tags:
            self.client.delete_tag(run.info.run_id, "mlflow.note.content")
        self.client.update_run(run.info.run_id, status="RUNNING", name=name)

    def write(
        self,
        run_id: str,
        metrics: Sequence[tuple[str, float, int, int]] = (),
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Write metrics (key, value, step, time in ms), tags, and the params that are missing."""
        if metrics:
            entries = [
                self.entities.Metric(key, value, time, step) for key, value, step, time in metrics
            ]
            self.client.log_batch(run_id, metrics=entries)
        items = [
            self.entities.RunTag(key, str(value)[:5000]) for key, value in (tags or {}).items()
        ]
        for start in range(0, len(items), 100):  # MLflow takes 100 at once
            self.client.log_batch(run_id, tags=items[start : start + 100])
        there = self.client.get_run(run_id).data.params if params else {}
        news = [
            self.entities.Param(k, str(v)[:6000])
            for k, v in (params or {}).items()
            if k not in there
        ]
        for start in range(0, len(news), 100):
            self.client.log_batch(run_id, params=news[start : start + 100])

    def write_dataset(self, run_id: str, manifest: Mapping[str, Any], context: str) -> None:
        """Name the data set among the run's inputs."""
        dataset = self.entities.Dataset(
            name=str(manifest.get("source", "dataset")),
            digest=str(manifest.get("content_hash", ""))[:32] or "unknown",
            source_type="local",
            source=json.dumps({"uri": "outputs/dataset"}),
            profile=json.dumps({k: v for k, v in manifest.items() if isinstance(v, int)}),
        )
        tag = self.entities.InputTag("mlflow.data.context", context)
        inputs = self.entities.DatasetInput(dataset, tags=[tag])
        self.client.log_inputs(run_id, datasets=[inputs])

    def latest_metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric."""
        return dict(self.client.get_run(run_id).data.metrics)

    def last_step(self, run_id: str, key: str) -> int:
        """The largest step of one metric; -1 if there is none."""
        history = self.client.get_metric_history(run_id, key)
        return max((point.step for point in history), default=-1)

    def history(self, run_id: str, key: str) -> tuple[list[int], list[float]]:
        """(steps, values) of one metric, by step; of a step logged twice the last value."""
        points = {p.step: p.value for p in self.client.get_metric_history(run_id, key)}
        return sorted(points), [points[step] for step in sorted(points)]

    def artifact(self, run_id: str, name: str) -> bytes | None:
        """Content of a file at the top of a run's artifacts; None if it has none of that name."""
        if name not in {file.path for file in self.client.list_artifacts(run_id)}:
            return None
        return self._download(run_id, name)

    def _download(self, run_id: str, path: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            return Path(self.client.download_artifacts(run_id, path, folder)).read_bytes()

    def image_files(self, run_id: str) -> dict[tuple[str, int], str]:
        """{(key, step): the newest file} of the image grid, read from MLflow's file names.

        Keys are those of StageRun.log_image, without the section of the page.
        """
        found: dict[tuple[str, int], tuple[int, str]] = {}
        for file in self.client.list_artifacts(run_id, "images"):
            # MLflow writes "key+step+100+timestamp+..." with "~" for "/"; older versions wrote "%"
            # for "+" and "#" for "/".
            name = r"(.*)[+%]step[+%](\d+)[+%]timestamp[+%](\d+)[+%].*\.png"
            match = re.fullmatch(name, Path(file.path).name)
            if match:
                key = re.sub("[~#]", "/", match[1]).removeprefix(PICTURES)
                key_and_step = key, int(match[2])
                newest = max(found.get(key_and_step, (0, "")), (int(match[3]), file.path))
                found[key_and_step] = newest
        return {key_and_step: path for key_and_step, (_, path) in found.items()}

    def image(self, run_id: str, key: str, step: int) -> bytes | None:
        """A PNG of the image grid; None if there is none."""
        path = self.image_files(run_id).get((key, step))
        return None if path is None else self._download(run_id, path)

    def maker(self, stage: str, item: str | None, fingerprint: str) -> Any | None:
        """The run that computed a result, not one that only shows it; None without such."""
        tags = {"stage": stage, "item": item, "fingerprint": fingerprint}
        runs = self.search(tags, status="FINISHED")
        return next((run for run in runs if "made_by" not in run.data.tags), None)

    def maker_tags(self, maker: Any) -> dict[str, str]:
        """Tags and a note with a link that name the run a result came from."""
        run_id, parent = maker.info.run_id, maker.data.tags.get("mlflow.parentRunId")
        name = self.client.get_run(parent).info.run_name if parent else maker.info.run_name
        link = f"#/experiments/{self.experiment_id}/runs/{run_id}"
        return {
            "made_by": run_id,
            "made_by.name": name,
            "mlflow.note.content": f"Not computed again: made by [{name}]({link}).",
        }

    def maker_tags_of(self, run_id: str) -> dict[str, str]:
        """maker_tags for a run that only shows a result; {} if it made the result itself."""
        tags = self.client.get_run(run_id).data.tags
        maker = self.maker(tags["stage"], tags.get("item"), tags["fingerprint"])
        return {} if maker is None or maker.info.run_id == run_id else self.maker_tags(maker)

    def add_restored(
        self, parent_id: str, stage: str, item: str | None, fingerprint: str
    ) -> str | None:
        """Add a finished child with the params and last metrics of the run that made the result.

        Returns its id; None if no run made the result or the parent has such a child.
        """
        tags = {"stage": stage, "item": item, "fingerprint": fingerprint}
        maker = self.maker(stage, item, fingerprint)
        if maker is None or self.search({**tags, "mlflow.parentRunId": parent_id}):
            return None
        pipeline = self.client.get_run(parent_id).data.tags.get("pipeline", "")
        tags |= {"mlflow.parentRunId": parent_id, "level": "stage", "pipeline": pipeline}
        name = f"{child_name(stage, item)} (cached)"
        given = {key: value for key, value in tags.items() if value is not None}
        given |= {key: v for key, v in maker.data.tags.items() if key.startswith(SHOWN_AGAIN)}
        run_id = self.create(name, {**given, **self.maker_tags(maker)})
        now = maker.info.end_time or maker.info.start_time
        metrics = [(key, value, 0, now) for key, value in maker.data.metrics.items()]
        self.write(run_id, metrics=metrics, params=maker.data.params)
        self.client.set_terminated(run_id, "FINISHED")
        return run_id

    def restore_results(self, parent_id: str, outcome: str) -> bool:
        """Copy to a parent the results of a finished one with the same outcome; False without one.

        It is needed since DVC runs no stage after train if train's outputs are the same bytes.
        """
        finished = self.search({"level": "parent", "outcome": outcome}, status="FINISHED")
        maker = next((run for run in finished if run.info.run_id != parent_id), None)
        own = self.client.get_run(parent_id).data.tags
        if maker is None or own.get("outcome") == outcome:
            return own.get("outcome") == outcome
        now = maker.info.end_time or maker.info.start_time
        metrics = [(key, value, 0, now) for key, value in maker.data.metrics.items()]
        shown = ("best.item", "best.by", "metric_name", "outcome", JUDGED_BY)
        tags = {key: maker.data.tags[key] for key in shown if key in maker.data.tags}
        link = f"#/experiments/{self.experiment_id}/runs/{maker.info.run_id}"
        note = (
            f"Trained to the same bytes as [{maker.info.run_name}]({link}): these are its results."
        )
        note = "\n\n".join(filter(None, [own.get(NOTE), note]))
        if results := results_of(maker.data.tags.get(NOTE)):
            note = with_results(note, results)
        tags |= {"results_of": maker.info.run_id, NOTE: note}
        self.write(parent_id, metrics=metrics, tags=tags)
        for name in ("metrics.json", "report.html", "fid_by_ema.csv", "provenance.json"):
            content = self.artifact(maker.info.run_id, name)
            if content is not None:
                self.client.log_text(parent_id, content.decode(), name)
        for child in self.search({"mlflow.parentRunId": maker.info.run_id}):
            made = child.data.tags
            if made.get("stage") in RESTORED:
                self.add_restored(parent_id, made["stage"], made.get("item"), made["fingerprint"])
        return True

    def mark_dead_killed(self, pipeline_tag: str) -> None:
        """Mark as KILLED the RUNNING runs whose process on this machine has ended.

        A parent run none of whose stages was RUNNING gets the tag UNFINISHED too: nobody killed it.
        The parent run of `pipeline_tag` is left as it is.
        """
        running = self.search({}, status="RUNNING")
        at_work = {run.data.tags.get("mlflow.parentRunId") for run in running}
        for run in running:
            tags, run_id = run.data.tags, run.info.run_id
            parent = tags.get("level") == "parent"
            if (parent and tags.get("pipeline") == pipeline_tag) or not is_dead(tags):
                continue
            if parent and run_id not in at_work:
                self.client.set_tag(run_id, UNFINISHED, "true")
            self.client.set_terminated(run_id, "KILLED")
