"""params.yaml, read and checked in one place.

Every unknown key, wrong type and value out of range is reported at once, with its YAML path, the
value, and what is allowed; combinations are checked once each value is valid by itself.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from dataset.config import DatasetConfig
from discriminators.config import StructureConfig
from evaluation.config import EvaluationConfig
from models.config import ModelConfig
from models.power_ema import EMAConfig
from pipelines.cluster_config import ClusterConfig
from pipelines.combinations import combination_problems, nearest
from pipelines.tracking_config import TrackingConfig
from sampling.config import SamplerConfig
from training.config import NoiseConfig, TrainConfig
from training.run_settings import RunSettings

DEFAULT_PATH = "params.yaml"


class ParamsError(ValueError):
    """params.yaml cannot be used; the message lists every problem with its YAML path."""


class Params(BaseModel, frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True):
    """All knobs of the pipeline."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of initial weights, training noise and generated images."""
    dataset: DatasetConfig = DatasetConfig()
    """Where the images come from and how they are prepared."""
    model: ModelConfig = ModelConfig()
    """The denoiser."""
    noise: NoiseConfig = NoiseConfig()
    """Noise levels seen in training."""
    train: TrainConfig = TrainConfig()
    """Length, speed and precision of training."""
    structure: StructureConfig = StructureConfig()
    """The structure game."""
    ema: EMAConfig = EMAConfig()
    """Averages kept while training and made afterwards."""
    sampling: Annotated[dict[str, SamplerConfig], Field(min_length=1)] = {
        "default": SamplerConfig()
    }
    """Sampler settings by name."""
    samplers: Annotated[tuple[str, ...], Field(min_length=1)] = ("default",)
    """Names of the sampler settings that are evaluated."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How results are judged."""
    cluster: ClusterConfig = ClusterConfig()
    """Where it runs; decides no result."""
    tracking: TrackingConfig = TrackingConfig()
    """What MLflow keeps; decides no result."""

    def run_settings(self) -> RunSettings:
        """The part that the training loop needs."""
        return RunSettings(
            seed=self.seed, model=self.model, noise=self.noise, train=self.train,
            structure=self.structure, ema=self.ema, micro_batch=self.cluster.micro_batch,
            checkpoint_every_s=self.cluster.checkpoint_every_s,
            sample_every_kimg=self.tracking.sample_every_kimg if self.tracking.enabled else None,
        )  # fmt: skip


def load_params(path: str | Path = DEFAULT_PATH) -> Params:
    """Read and check a params file. Raises ParamsError that names everything wrong with it."""
    raw = read_yaml(path)
    return check_params(raw, str(path))


def check_params(raw: Any, name: str = DEFAULT_PATH) -> Params:
    """Params from nested plain data; `name` stands in messages."""
    if not isinstance(raw, dict):
        raise ParamsError(f"{name} must be a mapping of sections such as seed, dataset, train")
    try:
        params = Params.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        lines = [_explain(dict(problem), raw) for problem in error.errors()]
        raise ParamsError(_listing(name, lines)) from None
    problems = combination_problems(params)
    if problems:
        raise ParamsError(_listing(name, problems))
    return params


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-3 as a number, as DVC does, and refuses a key given twice."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def _mapping_without_duplicates(loader: _Loader, node: yaml.MappingNode) -> dict:
    seen: set = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is given twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping_without_duplicates)


def read_value(text: str) -> Any:
    """One value as params.yaml would read it: 7e-4 is a number. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def read_yaml(path: str | Path) -> Any:
    """Plain data of a YAML file. Raises ParamsError with file and line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} cannot be read ({error}): run from the project's folder, "
                          "or copy one of presets/") from None  # fmt: skip
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise ParamsError(
            f"{path}{where} is not valid YAML: {getattr(error, 'problem', None) or error}"
        ) from None


def _listing(name: str, lines: list[str]) -> str:
    count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return f"{name} has {count}:\n" + "\n".join(f"  {line}" for line in lines)


def _explain(problem: dict, raw: dict) -> str:
    """One pydantic error as a line: YAML path, value, what is allowed."""
    path, value, location = "", raw, problem["loc"]
    known: type[BaseModel] | None = Params
    for part in location:
        if isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value):
            path, value = f"{path}[{part}]", value[part]
        elif isinstance(value, dict) and part in value:
            path, value = f"{path}.{part}" if path else str(part), value[part]
        elif problem["type"] == "missing" and part == location[-1]:
            path = f"{path}.{part}" if path else str(part)
        else:  # a name that pydantic adds, such as the chosen member of a union
            continue
        field = getattr(known, "model_fields", {}).get(part) if known else None
        known_next = field.annotation if field is not None else None
        if problem["type"] == "extra_forbidden" and part == location[-1]:
            allowed = list(getattr(known, "model_fields", {}))
            hint = nearest(str(part), allowed) if allowed else ""
            return f"{path}: unknown key{hint}"
        known = known_next if isinstance(known_next, type) else None
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    shown = json.dumps(value) if not isinstance(value, dict) else "this section"
    return f"{path or 'top level'}: {shown}: {message}"
