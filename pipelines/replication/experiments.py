"""Runs one experiment by DVC, keeps its result, and reads what is compared of it."""

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from foundation.atomic_files import write_text
from foundation.json_files import parse_object, read_object
from pipelines.replication.plan import Experiment
from pipelines.replication.report import Result
from pipelines.replication.student_items import of_students
from pipelines.settings.dotted_keys import set_options
from pipelines.settings.yaml_file import ParamsError
from pipelines.tracking.unmoved_game import reasons, unmoved
from pipelines.workspace.dvc_command import run_dvc
from pipelines.workspace.paths import REPORTS

RESUMED = "resumed at"
STUDENT_BEGINS = re.compile(r"distil: \w+: [0-9.]+ kimg .*, run [0-9a-f]+$")
"""The line that a student's training prints first (pipelines/stages/training_run.py)."""
SECONDS = "seconds"
"""Entry of a kept result: how long the experiment took, if it trained."""


def run(
    experiment: Experiment, raw: dict[str, Any], show: Callable[[str], None]
) -> tuple[dict[str, Any], bool]:
    """Let DVC run the experiment in a copy of the workspace: (its reports/metrics.json, trained?).

    The workspace stays as it is; stages whose result DVC's cache has are not run again, so the
    experiment may have trained nothing. Raises RuntimeError with the error that the stage or DVC
    printed. show: gets each line that DVC prints.
    """
    revision, lines = _revision(experiment.name), list[str]()
    if revision is None:
        options = set_options(raw, experiment.values)
        lines = run_dvc("exp", "run", "--temp", "-n", experiment.name, *options, show=show)
        revision = _revision(experiment.name)
    if revision is None:
        raise RuntimeError("DVC made no experiment of that name")
    text = _git("show", f"{revision}:{REPORTS}/metrics.json")
    if text is None:
        raise RuntimeError(f"experiment {experiment.name} holds no {REPORTS}/metrics.json")
    return parse_object(text), trained(lines)


def trained(lines: Sequence[str]) -> bool:
    """Whether a training, of the denoiser or of a student, ran from its start to its end.

    lines: what DVC and the stages printed.
    """
    again = any(line.startswith(RESUMED) for line in lines)
    denoiser = any(line.startswith("Running stage 'train'") for line in lines)
    denoiser = denoiser and not any("publishing it again" in line for line in lines)
    return not again and (denoiser or any(STUDENT_BEGINS.match(line) for line in lines))


def result_file(root: Path, experiment: Experiment) -> Path:
    """Where the result of an experiment is kept."""
    return root / ".runs" / "replicate" / f"{experiment.tag}.json"


def keep(path: Path, report: dict[str, Any], seconds: float | None) -> dict[str, Any]:
    """Write an experiment's result; returns what `kept` will. seconds: if it trained."""
    content = report | ({SECONDS: round(seconds, 1)} if seconds is not None else {})
    write_text(path, json.dumps(content))
    return content


def kept(path: Path) -> dict[str, Any] | None:
    """The result of an experiment that is done; None if there is none, or a damaged one."""
    try:
        found = read_object(path)
    except (OSError, ValueError):
        return None
    return found if found.keys() >= {"best", "items"} else None


def as_result(experiment: Experiment, report: dict[str, Any], item: str | None) -> Result:
    """What is compared of an experiment's reports/metrics.json; item None: the best one."""
    return Result(
        experiment.variant,
        experiment.seed,
        chosen(report, item) | of_students(report),
        chosen(report, item, "floor") | of_students(report, "floor"),
        report.get("judged_by") or {},
        game_note(report) if experiment.game else None,
    )


def game_note(report: dict[str, Any]) -> str | None:
    """A line if the game of this reports/metrics.json moved nothing.

    That of a control has no plays either, and does not say that there was no game.
    """
    train = report.get("train") or {}
    if "structure_plays" not in train:  # an older version wrote it
        return None
    told = reasons({"shut_reasons": train.get("gate_shut")})
    return unmoved(train["structure_plays"], train.get("gate_open_fraction"), told)


def chosen(metrics_json: dict[str, Any], item: str | None, part: str = "value") -> dict[str, float]:
    """{metric: value} of one item of a reports/metrics.json; item None: of the best item.

    part: "floor" for the floors of the metrics.
    """
    name = item or metrics_json["best"]["item"]
    if name not in metrics_json["items"]:
        raise ParamsError(f"--item {name}: the evaluation has {', '.join(metrics_json['items'])}")
    entry = metrics_json["items"][name]
    values = {k: v.get(part) for k, v in entry.items() if isinstance(v, dict)}
    return {k: float(v) for k, v in values.items() if isinstance(v, int | float)}


def _revision(name: str) -> str | None:
    """Commit of the DVC experiment, None if there is none."""
    refs = _git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or ""
    for line in refs.splitlines():
        commit, ref = line.split(" ", 1)
        if ref.split("/")[-1] == name:
            return commit
    return None


def _git(*words: str) -> str | None:
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None
