"""params.yaml, read and checked in one place.

Every unknown key, wrong type and value out of range is reported at once, with its YAML path, the
value, and what is allowed; combinations are checked once each value is valid by itself.
"""

import difflib
import json
import math
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
from pipelines.tracking_config import TrackingConfig
from sampling.config import SamplerConfig
from training.config import NoiseConfig, TrainConfig
from training.settings import RunSettings

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


def combination_problems(params: Params) -> list[str]:
    """Settings that are fine alone and impossible together, each with its mend."""
    out = []
    model, train, cluster = params.model, params.train, params.cluster
    factor = 2 ** (len(model.channel_mult) - 1)
    side = params.dataset.resolution
    if side % factor:
        low = side // factor * factor
        out.append(
            f"dataset.resolution: {side} cannot be halved {len(model.channel_mult) - 1} times for "
            f"the {len(model.channel_mult)} levels of model.channel_mult: use "
            f"{f'{low} or ' if low else ''}{low + factor}, or fewer levels"
        )
    sides = [side // 2**level for level in range(len(model.channel_mult))]
    absent = [str(side) for side in model.attention_resolutions if side not in sides]
    if absent and not side % factor:
        out.append(
            f"model.attention_resolutions: no level is {' or '.join(absent)} pixels wide: the levels "
            f"of dataset.resolution {side} are {', '.join(map(str, sides))}; name some of these, or []"
        )
    for position, block in enumerate(model.structural_blocks):
        width = model.channels * model.channel_mult[-1]
        if block.kind == "self_attention" and width % block.heads:
            out.append(
                f"model.structural_blocks[{position}].heads: {block.heads} does not divide the "
                f"{width} channels of the bottleneck (channels x last of channel_mult)"
            )
    groups = range(max(1, cluster.fewest_workers), cluster.most_workers + 1)
    unit = math.lcm(*groups)  # what any number of workers can share
    shared = {"train.batch_size": train.batch_size}
    if params.structure.kind != "none" and params.structure.batch_size:
        shared["structure.batch_size"] = params.structure.batch_size
    for key, size in shared.items():
        odd = [workers for workers in groups if size % workers]
        if odd:
            low = size // unit * unit
            out.append(
                f"{key}: {size} is not a multiple of {odd[0]} workers (cluster.num_workers): "
                f"use {f'{low} or ' if low else ''}{low + unit}"
            )
    settings = params.run_settings()
    if settings.total_steps < params.ema.snapshots:
        out.append(
            f"ema.snapshots: {params.ema.snapshots} snapshots do not fit the "
            f"{settings.total_steps} steps of train.total_kimg / train.batch_size: train longer "
            "or keep fewer"
        )
    for name, sampler in params.sampling.items():
        if sampler.adapter and not model.adapter_rank and name in params.samplers:
            out.append(
                f"sampling.{name}.adapter: true, but model.adapter_rank is 0: give the denoiser an "
                "adapter (rank 8, say), or set this to false"
            )
    if params.ema.tracked[0] == params.ema.tracked[1]:
        out.append(f"ema.tracked: both lengths are {params.ema.tracked[0]:g}: give two different")
    if len(set(params.ema.lengths)) != len(params.ema.lengths):
        out.append("ema.lengths: a length is listed twice")
    if len(set(params.samplers)) != len(params.samplers):
        out.append("samplers: a name is listed twice")
    for name in params.samplers:
        if name not in params.sampling:
            out.append(
                f"samplers: {name!r} is not a name under sampling{_nearest(name, params.sampling)}"
            )
    for name in params.sampling:
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            out.append(f"sampling.{name}: a sampler's name may have letters, digits and _ only")
    extractor = params.evaluation.extractor
    if params.structure.kind != "none" and params.structure.features == "efficientnet_lite0":
        if extractor == "efficientnet_lite0":
            out.append(
                "structure.features: efficientnet_lite0 is the metric's network (evaluation."
                "extractor) too, and a game must not be judged by its own network: change one"
            )
        elif extractor == "auto":
            out.append(
                "structure.features: efficientnet_lite0 may be what evaluation.extractor auto "
                "chooses, and a game must not be judged by its own network: name another extractor"
            )
    if extractor == "inception" and not params.evaluation.inception_path:
        out.append(
            "evaluation.inception_path: extractor inception needs the file inception-2015-12-05.pt; "
            "set its path, or choose extractor auto"
        )
    return out


def _nearest(word: str, allowed) -> str:
    close = difflib.get_close_matches(word, list(allowed), 1)
    return f": did you mean {close[0]!r}?" if close else f" (known: {', '.join(map(str, allowed))})"


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
            hint = _nearest(str(part), allowed) if allowed else ""
            return f"{path}: unknown key{hint}"
        known = known_next if isinstance(known_next, type) else None
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    shown = json.dumps(value) if not isinstance(value, dict) else "this section"
    return f"{path or 'top level'}: {shown}: {message}"
