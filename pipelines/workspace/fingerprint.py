"""The identity of a result: a fingerprint of its params, its inputs and the code that made it.

A stage's fingerprint is the hash of the params that the stage depends on, of the content of its
inputs, and of the code files that its module imports (of a table of kinds, those that params
choose). A run keeps its checkpoints in `.runs/<stage>-<fingerprint>/` in DVC_ROOT, so the same
command resumes, and a command with changed params does not resume from old weights.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foundation.atomic_files import write_text
from pipelines.settings.schema import Params
from pipelines.workspace.chosen_kinds import chosen_kinds, guiding_attributes
from pipelines.workspace.imports import Look
from pipelines.workspace.input_hashes import (
    dataset_hash,
    folder_hashes,
    guide_hashes,
    init_hash,
    latents_hash,
    weights_hashes,
)
from pipelines.workspace.paths import (
    ATTRIBUTES,
    AUTOENCODER,
    EMA,
    REFERENCE,
    STUDENTS,
    TRAIN,
    item_name,
    length_name,
    preset_files,
    student_item_name,
)
from pipelines.workspace.stage_code import (
    STAGE_PARAMS,
    code_hash,
    content_hash,
    hash_of,
    stage_files,
)
from pipelines.workspace.weights_files import encoder_hash

STUDENT_PARAMS = (
    *("seed", "model", "noise", "ema.tracked"),
    *("train.precision", "train.compile", "train.horizontal_flip", "train.max_bad_steps"),
)
"""Params that decide the result of a student's training, besides its own settings."""
OF_STUDENTS = ("distil", "evaluate_students")
"""Stages that do nothing where no student is trained."""
OF_ATTRIBUTES = ("attributes",)
"""Stages that do nothing where no attribute is named."""


@dataclass(frozen=True)
class Identity:
    """What a result is known by: its stage and the hashes of its params, inputs and code."""

    stage: str
    params: str
    inputs: str
    code: str

    @property
    def fingerprint(self) -> str:
        return hash_of([self.stage, self.params, self.inputs, self.code])[:16]

    def folder(self, root: Path) -> Path:
        """The folder in which the run keeps its checkpoints."""
        return Path(root) / ".runs" / f"{self.stage}-{self.fingerprint}"

    def save(self, folder: Path) -> None:
        text = json.dumps(asdict(self) | {"fingerprint": self.fingerprint}, indent=1)
        write_text(folder / "identity.json", text + "\n")


def stage_identity(stage: str, params: Params, *, sampler: str | None = None) -> Identity:
    """Identity of the result that a stage has with the inputs in the current workspace.

    sampler: of the item, for the stage evaluate.
    """
    plain = params.model_dump(mode="json")
    keys = STAGE_PARAMS[stage] + (() if sampler is None else (f"sampling.{sampler}",))
    code = stage_files(stage, chosen_kinds(stage, plain, sampler))
    return Identity(
        stage, _params_hash(plain, keys), hash_of(_inputs(stage, params)), code_hash(code)
    )


def train_params_hash(params: Params) -> str:
    """`params` of the Identity of a training run, which data and code do not change."""
    return _params_hash(params.model_dump(mode="json"), STAGE_PARAMS["train"])


def _params_hash(plain: dict, keys: Iterable[str]) -> str:
    return hash_of({key: _dotted(plain, key) for key in keys})


def stage_fingerprint(stage: str, params: Params) -> str:
    """Fingerprint of a stage's result, 16 hexadecimal digits."""
    return stage_identity(stage, params).fingerprint


def item_fingerprint(params: Params, length: float, sampler: str) -> str:
    """Fingerprint of one item of evaluate; it depends on the content of the weights."""
    identity = stage_identity("evaluate", params, sampler=sampler)
    weights = weights_hashes(EMA / f"{length_name(length)}.safetensors")
    parts = [identity.fingerprint, weights, guide_hashes(params, [sampler])]
    predictors = ATTRIBUTES / "items" / f"{item_name(length, sampler)}.json"
    if guiding_attributes(params.model_dump(mode="json"), sampler) and predictors.is_file():
        parts.append(content_hash(predictors))
    return f"{hash_of(parts)[:16]}-{item_name(length, sampler)}"


def student_identity(params: Params, name: str) -> Identity:
    """Identity of the training of one student: other students do not count.

    Neither do the samplers and the EMA lengths with which it is judged afterwards.
    """
    plain = params.model_dump(mode="json")
    inputs = {"dataset": dataset_hash(), "teacher": teacher_hashes(params, name)}
    inputs |= latents_hash(params)
    code = stage_files("distil", chosen_kinds("distil", plain, student=name))
    parts = student_params_hash(params, name), hash_of(inputs), code_hash(code)
    return Identity(f"distil-{name}", *parts)


def training_identity(params: Params, student: str | None) -> Identity:
    """Identity of the training of the denoiser (None), or of the student of this name."""
    if student is None:
        return stage_identity("train", params)
    return student_identity(params, student)


def student_params_hash(params: Params, name: str) -> str:
    """`params` of the Identity of a student's training, which data, teacher and code do not change.

    The same student under another name has the same hash.
    """
    plain = params.model_dump(mode="json")
    chosen = {key: _dotted(plain, key) for key in STUDENT_PARAMS}
    chosen["student"] = {
        key: value
        for key, value in plain["students"][name].items()
        if key not in ("samplers", "lengths")
    }
    return hash_of(chosen)


def teacher_file(params: Params, name: str) -> Path:
    """The weights of a student's teacher."""
    return EMA / f"{length_name(params.students[name].teacher)}.safetensors"


def teacher_hashes(params: Params, name: str) -> list[str | None]:
    """Content hashes of the two files of a student's teacher."""
    return weights_hashes(teacher_file(params, name))


def student_item_fingerprint(params: Params, name: str, length: float, sampler: str) -> str:
    """Fingerprint of one item of evaluate_students; it depends on the content of the weights."""
    plain = params.model_dump(mode="json")
    chosen = {key: _dotted(plain, key) for key in ("seed", "evaluation", f"sampling.{sampler}")}
    kinds = chosen_kinds("evaluate_students", plain, sampler, name)
    code = code_hash(stage_files("evaluate_students", kinds))
    inputs = _inputs("evaluate_students", params)
    weights = weights_hashes(STUDENTS / name / f"{length_name(length)}.safetensors")
    parts = [chosen, inputs, code, weights]
    return f"{hash_of(parts)[:16]}-{student_item_name(name, length, sampler)}"


def predictor_fingerprint(params: Params, name: str, length: float) -> str:
    """Fingerprint of the predictor of one attribute and EMA length: other attributes do not count.

    It depends on the content of the weights.
    """
    plain = params.model_dump(mode="json")
    chosen = {key: _dotted(plain, key) for key in ("seed", "noise", f"attributes.{name}")}
    code = code_hash(stage_files("attributes", chosen_kinds("attributes", plain)))
    weights = weights_hashes(EMA / f"{length_name(length)}.safetensors")
    parts = [chosen, _inputs("attributes", params), code, weights]
    return f"{hash_of(parts)[:16]}-{name}-{length_name(length)}"


def outcome(params: Params) -> str:
    """Hash of all that the numbers of a report depend on, besides the training itself.

    Code that only training uses is not part of it: if changed code trains to the same bytes, DVC
    runs no later stage again.
    """
    plain = params.model_dump(mode="json")
    stages = ["reconstruct", "evaluate", "summarize"]
    # Summarize reads all params, to name those that differ from the preset.
    keys = {"samplers", *STAGE_PARAMS["reconstruct"], *STAGE_PARAMS["evaluate"]}
    keys |= {f"sampling.{name}" for name in params.samplers}
    if params.distil:
        keys |= {*STAGE_PARAMS["distil"], *STAGE_PARAMS["evaluate_students"]}
        stages += OF_STUDENTS
    if params.attributes:
        keys |= set(STAGE_PARAMS["attributes"])
        stages += OF_ATTRIBUTES
    code = _code_of(stages, plain)
    # Without hidden files, since DVC puts a .gitignore beside its outputs when the stage is over.
    files = [path for path in TRAIN.rglob("[!.]*") if path.is_file()]
    files += [path for path in (REFERENCE / "reference.json",) if path.is_file()]
    chosen = {key: _dotted(plain, key) for key in sorted(keys)}
    guides = guide_hashes(params, params.samplers)
    return hash_of([chosen, dataset_hash(), code_hash(set(files)), code_hash(code), guides])[:16]


def pipeline_tag(params: Params) -> str:
    """Hash of the params that decide a result, the data and all code; tags an MLflow parent run."""
    plain = params.model_dump(mode="json")
    for section in ("cluster", "tracking"):
        plain.pop(section)
    if params.autoencoder.kind == "none":  # pixels are known as they were before latents
        plain.pop("autoencoder")
    else:
        plain["autoencoder"] |= folder_hashes(params)
    if (text := encoder_hash(params)) is not None:
        plain["model"]["text"]["sha256"] = text
    idle = (() if params.distil else OF_STUDENTS) + (() if params.attributes else OF_ATTRIBUTES)
    stages = [stage for stage in STAGE_PARAMS if stage not in idle]
    code = code_hash(_code_of(stages, plain))
    guides = guide_hashes(params, params.samplers)
    return hash_of([plain, dataset_hash(), init_hash(params), code, guides])[:16]


def _code_of(stages: Iterable[str], plain: dict) -> set[Path]:
    """Code files of several stages, of tables those of the kinds that params choose."""
    look = Look()
    return {
        path for stage in stages for path in stage_files(stage, chosen_kinds(stage, plain), look)
    }


def _inputs(stage: str, params: Params) -> dict[str, Any]:
    """Content hashes of what the stage reads from earlier stages."""
    inputs: dict[str, Any] = {}
    if stage != "prepare":
        inputs["dataset"] = dataset_hash()
    if stage == "autoencoder":
        inputs |= folder_hashes(params)
    if stage == "encode":
        inputs["autoencoder"] = weights_hashes(AUTOENCODER / "autoencoder.safetensors")
    if stage == "train":
        inputs["init_from"] = init_hash(params)
        if (text := encoder_hash(params)) is not None:
            inputs["text"] = text
    if stage in ("train", "distil", "attributes"):
        inputs |= latents_hash(params)
    if stage in ("reconstruct", "summarize") and (TRAIN / "train.json").is_file():
        inputs["train"] = content_hash(TRAIN / "train.json")
    if stage == "distil":
        inputs["teachers"] = {name: teacher_hashes(params, name) for name in params.distil}
    if (
        stage in ("evaluate", "evaluate_students", "summarize")
        and (REFERENCE / "reference.json").is_file()
    ):
        inputs["reference"] = content_hash(REFERENCE / "reference.json")
    if stage == "summarize":  # the report names the closest preset
        inputs["presets"] = {path.name: content_hash(path) for path in preset_files()}
    return inputs


def _dotted(plain: dict, key: str) -> Any:
    value: Any = plain
    for part in key.split("."):
        value = value[part]
    return value
