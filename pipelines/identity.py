"""Who a result is: a fingerprint of its parameters, its inputs, and the code that made it.

A stage's fingerprint is the hash of the params it depends on, of its inputs' content, and of the
files that its deps in dvc.yaml name. Resume state lives under `.runs/<stage>-<fingerprint>/` in
DVC_ROOT, so changed params never resume from old weights and the same command does.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from foundation.atomic_files import write_text
from models.weights import file_hash
from pipelines.params import Params, ParamsError
from sampling.config import SamplerConfig

# The params that decide a stage's result; dvc.yaml names the same (a test compares them).
STAGE_PARAMS: dict[str, tuple[str, ...]] = {
    "prepare": ("dataset",),
    "reference": ("evaluation.extractor", "evaluation.inception_path"),
    "train": ("seed", "model", "noise", "train", "structure", "ema.tracked", "ema.snapshots"),
    "reconstruct": ("ema.lengths",),
    "evaluate": ("seed", "evaluation"),
    "summarize": ("ema.lengths", "samplers", "evaluation"),
}
DATASET = Path("outputs/dataset")
REFERENCE = Path("outputs/reference")
TRAIN = Path("outputs/train")
EMA = Path("outputs/ema")
EVALUATE = Path("outputs/evaluate")
REPORTS = Path("reports")


def dvc_root() -> Path:
    """The main checkout, also where a stage runs in DVC's temporary clone."""
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def grid_cache() -> Path:
    """Where optimised time grids are kept."""
    return dvc_root() / ".runs" / "grids"


def length_name(length: float) -> str:
    """How an EMA length is written in file and item names; DVC writes 0.10 as 0.1."""
    return f"{length:g}"


def item_name(length: float, sampler: str) -> str:
    """Name of one item of the evaluate matrix."""
    return f"{length_name(length)}-{sampler}"


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


def weights_file(path: str, key: str, otherwise: str) -> Path:
    """A weights file named in params, relative to the project also where DVC runs a copy of it.

    Raises ParamsError, which ends with `otherwise`: what else the key may be.
    """
    for root in (Path(), dvc_root()):
        if (root / path).is_file():
            return Path(os.path.abspath(root / path))  # a link keeps the .json beside it
    raise ParamsError(
        f"{key}: {path} does not exist: give the path of a .safetensors file, or {otherwise}"
    )


def init_file(params: Params) -> Path | None:
    """The file of train.init_from, None where training starts from random weights."""
    path = params.train.init_from
    if path is None:
        return None
    return weights_file(path, "train.init_from", "null to start from random weights")


def _init_hash(params: Params) -> str | None:
    path = init_file(params)
    return None if path is None else file_hash(path)


def guiding_file(path: str, sampler: str) -> Path:
    """The file of an autoguidance entry's weights."""
    return weights_file(path, f"sampling.{sampler}.guidance", "length, one of ema.lengths")


def _guide_hashes(params: Params, samplers: Iterable[str]) -> list[str]:
    """Contents of the guiding weights that the samplers name."""
    return [
        file_hash(guiding_file(entry.weights, name))
        for name in samplers
        for entry in params.sampling[name].guidance
        if entry.weights is not None
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


def stage_code(stage: str, path: str | Path = "dvc.yaml") -> set[Path]:
    """Python files that the stage's deps in dvc.yaml name."""
    stages = yaml.safe_load(Path(path).read_text())["stages"]
    files: set[Path] = set()
    for dep in stages[stage]["deps"]:
        if not isinstance(dep, str) or dep.startswith("outputs/") or "${" in dep:
            continue
        place = Path(dep)
        files |= set(place.rglob("*.py")) if place.is_dir() else {place}
    return files


def code_hash(files: set[Path]) -> str:
    """Hash of names and contents."""
    return _hash({str(path): file_hash(path) for path in sorted(files)})


def _dotted(plain: dict, key: str) -> Any:
    value: Any = plain
    for part in key.split("."):
        value = value[part]
    return value


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def with_guiding_files(sampler: SamplerConfig, name: str) -> SamplerConfig:
    """The sampler with the full paths of its guiding weights. Raises ParamsError for missing ones."""
    entries = tuple(
        entry
        if entry.weights is None
        else entry.model_copy(update={"weights": str(guiding_file(entry.weights, name))})
        for entry in sampler.guidance
    )
    return sampler.model_copy(update={"guidance": entries})
