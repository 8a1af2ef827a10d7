"""The params and the code files that each stage depends on."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.workspace.imports import Kinds, Look, Rules, Table, closure, kinds_of

# The params that decide a stage's result; dvc.yaml names the same (a test compares them).
STAGE_PARAMS: dict[str, tuple[str, ...]] = {
    "prepare": ("dataset",),
    "autoencoder": ("seed", "autoencoder"),
    "encode": ("autoencoder",),
    "reference": ("evaluation.extractor", "evaluation.inception_path"),
    "train": ("seed", "model", "noise", "train", "structure", "ema.tracked", "ema.snapshots"),
    "reconstruct": ("ema.lengths",),
    "attributes": ("seed", "noise", "attributes", "ema.lengths", "samplers"),
    "evaluate": ("seed", "evaluation"),
    # Of `train` a student has but a few keys (fingerprint.py), which a file may leave out.
    "distil": ("seed", "model", "noise", "train", "ema.tracked", "students", "distil"),
    "evaluate_students": ("seed", "evaluation", "sampling", "students", "distil"),
    # All that the report's list of changed params names.
    "summarize": (
        *("seed", "dataset", "autoencoder", "model", "noise", "train", "structure"),
        *("ema", "attributes", "sampling", "samplers", "students", "distil", "evaluation"),
    ),
}

# Stages whose command lies in a room.
IN_ROOMS: dict[str, str] = {
    "autoencoder": "pipelines.latents.autoencoder",
    "encode": "pipelines.latents.encode",
    "attributes": "pipelines.attributes.stage",
    "distil": "pipelines.students.distil",
    "evaluate_students": "pipelines.students.evaluate",
}

# Params choose one or a few kinds of each table; the files of the others do not count.
# chosen_kinds.py says which kinds a stage uses; of a table that it does not name, all count.
TABLES: dict[str, Table] = {
    "source": Table("dataset.sources.table", "SOURCES", one_in_use=True),
    "solver": Table("sampling.solvers.table", "SOLVERS"),
    "grid": Table("sampling.grids.table", "GRIDS"),
    "guidance": Table("sampling.guidance.table", "KINDS"),
    "autoencoder": Table("models.autoencoder", "NETWORKS"),
    "maker": Table("pipelines.latents.makers", "MAKERS"),
    "backbone": Table("models.backbones.table", "BACKBONES"),
    "block": Table("models.layers.block_configs", "BLOCKS"),
    "text": Table("models.text_encoders.configs", "ENCODERS"),
    "extractor": Table("models.extractors.load", "EXTRACTORS"),
    "method": Table("training.methods.table", "METHODS", one_in_use=True),
    "form": Table("discriminators.forms", "FORMS"),
    "schedule": Table("training.noise.table", "SCHEDULES"),
}

# Stages import these modules, but no result depends on them.
NO_RESULT: dict[str, str] = {
    "foundation.bounds": "refuses params, and changes none",
    "foundation.did_you_mean": "spelling hints of error messages",
    "foundation.durations": "how a stage prints times",
    "foundation.settings_base": "reads params, whose values count as params",
    "foundation.settings_by_kind": "reads entries of params, whose values count as params",
    "models.autoencoders.config": "refuses params, and tells the size of latents",
    "foundation.json_files": "reads what a JSON file holds, or refuses it",
    "pipelines.console": "what a stage prints",
    "pipelines.forecast": "how long a stage will take",
    "pipelines.params": "reads params.yaml, whose values count as params",
    "pipelines.run_copies": "keeps a copy of a run, from which it goes on to the same bits",
    "pipelines.settings.network_checks": "refuses params, and changes none",
    "pipelines.settings.attribute_checks": "refuses params, and changes none",
    "pipelines.settings.autoencoder_checks": "refuses params, and changes none",
    "pipelines.settings.cluster": "where a stage runs",
    "pipelines.settings.cross_checks": "refuses params, and changes none",
    "pipelines.settings.student_checks": "refuses params, and changes none",
    "pipelines.settings.storage_address": "where copies of runs lie",
    "pipelines.settings.text_checks": "refuses params, and changes none",
    "pipelines.settings.train_checks": "refuses params, and changes none",
    "pipelines.settings.schema": "names the sections of params.yaml; each part imports its own",
    "pipelines.settings.tracking": "what MLflow keeps",
    "pipelines.settings.yaml_file": "reads params.yaml, whose values count as params",
    "pipelines.settings.yaml_scalars": "reads params.yaml, whose values count as params",
    "pipelines.settings.yaml_tree": "reads params.yaml, whose values count as params",
    "pipelines.stages.whole_folders": "refuses damaged files, and changes none",
    "pipelines.tracking.connection": "what MLflow keeps",
    "pipelines.tracking.live_run": "what MLflow keeps",
    "pipelines.tracking.stage_run": "what MLflow keeps",
    "pipelines.tracking.run_note": "what MLflow keeps",
    "pipelines.tracking.run_store": "what MLflow keeps",
    "pipelines.workspace": "names of files, and fingerprints",
    "training.fine_tuning.refusals": "refuses params, and changes none",
    "training.fine_tuning.remarks": "what a training says of its weights",
}

# These send a computation to Ray's workers and fetch its events. They do not count, but what they
# import does.
CARRIERS: dict[str, str] = {
    "pipelines.ray_jobs.event_queue": "events of a training",
    "pipelines.ray_jobs.own_state": "Ray's own files",
    "pipelines.ray_jobs.session": "the connection to Ray",
    "pipelines.ray_jobs.tasks": "one function over many arguments",
    "pipelines.ray_jobs.training": "workers that train",
}

RULES = Rules(TABLES, NO_RESULT, CARRIERS)

# What one stage imports, and only others depend on.
_NO_STUDENT = {
    "training.students": "settings of students, a field of the run's settings that is None where "
    "no student is trained"
}
NOT_OF: dict[str, dict[str, str]] = {
    "autoencoder": _NO_STUDENT,
    "attributes": {
        "sampling.config": "the sampler of a noise schedule, with which no predictor is trained"
    },
    "train": _NO_STUDENT,
    "summarize": {
        "training.students": "defaults of students, which lists of changed params leave out"
    },
}


def stage_module(stage: str) -> str:
    """The module that is the stage's command: pipelines.STAGE, where it has no room."""
    return IN_ROOMS.get(stage, f"pipelines.{stage}")


def stage_files(stage: str, kinds: Kinds | None = None, look: Look | None = None) -> set[Path]:
    """Python files that decide the stage's result, relative to the project's folder.

    Args:
        kinds: what params choose (`chosen_kinds`); None: every kind of every table.
        look: at the project's files; None: a new one.
    """
    left_out = {**RULES.left_out, **NOT_OF.get(stage, {})}
    return closure(stage_module(stage), replace(RULES, left_out=left_out), kinds, look=look)


def always_files(stage: str, look: Look | None = None) -> set[Path]:
    """The files of `stage_files` that the stage depends on whatever params choose."""
    look = look or Look()
    nothing: dict[str, tuple[str, ...]] = dict.fromkeys(TABLES, ())
    found = stage_files(stage, nothing, look)
    for name, table in TABLES.items():
        if table.one_in_use:
            choices = [
                stage_files(stage, nothing | {name: (kind,)}, look) for kind in kinds_of(table)
            ]
            found |= set[Path].intersection(*choices) if choices else set()
    return found


def code_hash(files: set[Path]) -> str:
    """Hash of the names and contents of files."""
    return hash_of({str(path): content_hash(path) for path in sorted(files)})


def content_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Not models.weights.file_hash: fingerprints would then run code on which some stages depend and
    others do not.
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_of(value: Any) -> str:
    """SHA-256 of plain data, as JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
