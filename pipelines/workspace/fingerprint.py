"""Who a result is: a fingerprint of its parameters, its inputs, and the code that made it.

A stage's fingerprint is the hash of the params it depends on, of its inputs' content, and of the
files that its deps in dvc.yaml name. Resume state lives under `.runs/<stage>-<fingerprint>/` in
DVC_ROOT, so changed params never resume from old weights and the same command does.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foundation.atomic_files import write_text
from models.weights import file_hash
from pipelines.settings.schema import Params
from pipelines.workspace.paths import DATASET, EMA, REFERENCE, TRAIN, item_name, length_name
from pipelines.workspace.stage_code import STAGE_PARAMS, _hash, code_hash, stage_code
from pipelines.workspace.weights_files import guiding_files, init_file


@dataclass(frozen=True)
class Identity:
    """The three hashes of a result; `fingerprint` joins them."""

    stage: str
    params: str
    inputs: str
    code: str

    @property
    def fingerprint(self) -> str:
        return _hash([self.stage, self.params, self.inputs, self.code])[:16]

    def folder(self, root: Path) -> Path:
        """Where the run keeps its resume state."""
        return Path(root) / ".runs" / f"{self.stage}-{self.fingerprint}"

    def save(self, folder: Path) -> None:
        text = json.dumps(asdict(self) | {"fingerprint": self.fingerprint}, indent=1)
        write_text(folder / "identity.json", text + "\n")


def stage_identity(stage: str, params: Params, *, item_params: tuple[str, ...] = ()) -> Identity:
    """Identity of a stage's result in the current workspace, with its inputs as they lie there."""
    plain = params.model_dump(mode="json")
    keys = STAGE_PARAMS[stage] + item_params
    chosen = {key: _dotted(plain, key) for key in keys}
    return Identity(
        stage, _hash(chosen), _hash(_inputs(stage, params)), code_hash(stage_code(stage))
    )


def stage_fingerprint(stage: str, params: Params, *, item_params: tuple[str, ...] = ()) -> str:
    """Short hash that names a stage's result."""
    return stage_identity(stage, params, item_params=item_params).fingerprint


def item_fingerprint(params: Params, length: float, sampler: str) -> str:
    """Names one item of evaluate. It depends on its weights, whichever training made them."""
    identity = stage_identity("evaluate", params, item_params=(f"sampling.{sampler}",))
    files = [EMA / f"{length_name(length)}{end}" for end in (".safetensors", ".json")]
    weights = [file_hash(path) if path.is_file() else None for path in files]
    parts = [identity.fingerprint, weights, _guide_hashes(params, [sampler])]
    return f"{_hash(parts)[:16]}-{item_name(length, sampler)}"


def outcome(params: Params) -> str:
    """Hash of what decides the results once training is over: equal outcomes, equal reports.

    Code of the training is no part of it: where other code gives the same bytes, DVC runs no
    later stage again.
    """
    plain = params.model_dump(mode="json")
    stages = ("reconstruct", "evaluate", "summarize")
    keys = {key for stage in stages for key in STAGE_PARAMS[stage]}
    keys |= {f"sampling.{name}" for name in params.samplers}
    code = set[Path]().union(*(stage_code(stage) for stage in stages))
    code = {path for path in code if path.parts[0] != "training"}
    # DVC puts a .gitignore beside its outputs, once the stage is over
    files = [path for path in TRAIN.rglob("[!.]*") if path.is_file()]
    files += [path for path in (REFERENCE / "reference.json",) if path.is_file()]
    chosen = {key: _dotted(plain, key) for key in sorted(keys)}
    guides = _guide_hashes(params, params.samplers)
    return _hash([chosen, dataset_hash(), code_hash(set(files)), code_hash(code), guides])[:16]


def pipeline_tag(params: Params) -> str:
    """Hash of every param that decides a result, the data, and all code: one MLflow parent run."""
    plain = params.model_dump(mode="json")
    for section in ("cluster", "tracking"):
        plain.pop(section)
    code: set[Path] = set()
    for stage in STAGE_PARAMS:
        code |= stage_code(stage)
    guides = _guide_hashes(params, params.samplers)
    return _hash([plain, dataset_hash(), _init_hash(params), code_hash(code), guides])[:16]


def dataset_hash() -> str | None:
    """Content hash of the prepared data set, None before prepare."""
    path = DATASET / "dataset.json"
    return json.loads(path.read_text())["content_hash"] if path.is_file() else None


def _init_hash(params: Params) -> str | None:
    path = init_file(params)
    return None if path is None else file_hash(path)


def _guide_hashes(params: Params, samplers: Iterable[str]) -> list[str]:
    """Contents of the guiding weights that the samplers name."""
    return [
        file_hash(file)
        for name in samplers
        for file in guiding_files(params.sampling[name], name)
        if file is not None
    ]


def _inputs(stage: str, params: Params) -> dict[str, Any]:
    """Content hashes of what the stage reads from earlier stages."""
    inputs: dict[str, Any] = {}
    if stage != "prepare":
        inputs["dataset"] = dataset_hash()
    if stage == "train":
        inputs["init_from"] = _init_hash(params)
    if stage in ("reconstruct", "summarize") and (TRAIN / "train.json").is_file():
        inputs["train"] = file_hash(TRAIN / "train.json")
    if stage in ("evaluate", "summarize") and (REFERENCE / "reference.json").is_file():
        inputs["reference"] = file_hash(REFERENCE / "reference.json")
    return inputs


def _dotted(plain: dict, key: str) -> Any:
    value: Any = plain
    for part in key.split("."):
        value = value[part]
    return value
