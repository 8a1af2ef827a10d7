"""Reads sweep.yaml, and checks it and the params of its trials before anything starts."""

import itertools
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from evaluation.metric_table import metric_entry, objective, shown
from foundation.bounds import KIMG, PROCESSES, AtMost
from foundation.did_you_mean import spelling_hint
from foundation.settings_base import Settings
from pipelines.params import check_params
from pipelines.settings.dotted_keys import check_key, known_keys, with_values
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import LISTED, ParamsError, read_yaml
from pipelines.settings.yaml_scalars import shortened
from pipelines.sweeps.domain import Domain, DomainError, parse_domain
from pipelines.workspace.stage_code import STAGE_PARAMS

MAX_CORNERS = 256
Positive = Annotated[float, Field(gt=0)]


class ResourcesConfig(Settings):
    """Resources of one training worker of a trial; fractions share a processor or a GPU."""

    cpu: Annotated[Positive, PROCESSES] = 1.0
    gpu: Annotated[float, Field(ge=0), PROCESSES] = 0.0


class QuickConfig(Settings):
    """How trials are judged at each rung."""

    num_images: Annotated[
        int, Field(ge=16), AtMost(1_000_000, "images and features are kept in memory")
    ] = 256
    """Number of generated images; their seeds are always the same."""
    sampler: str | None = None
    """A name under `sampling` in params.yaml; null: the first of `samplers`."""


class SweepConfig(Settings):
    """The settings in sweep.yaml."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Name of the sweep and its folders; a command with the same name continues the sweep."""
    metric: str = "kid"
    """The metric to improve; if it is best near its floor, its distance from there is reduced."""
    mode: Literal["min", "max"] | None = None
    """Whether low or high is good; null: as the table of metrics says."""
    trials: Annotated[int, Field(ge=1), AtMost(100_000, "each is a training")] = 16
    max_concurrent: Annotated[int, Field(ge=1), PROCESSES] = 2
    workers: Annotated[int, Field(ge=0), PROCESSES] = 1
    """Ray Train workers of a trial; 0: each trial trains in its own process."""
    resources: ResourcesConfig = ResourcesConfig()
    """Resources of each worker, or of the trial's process if workers is 0."""
    searcher: Literal["random", "tpe"] = "tpe"
    scheduler: Literal["asha", "none"] = "asha"
    first_rung_kimg: Annotated[float, Field(ge=0.001), KIMG] | None = None
    """Images after which trials are first compared; null: total / reduction^2."""
    reduction: Annotated[
        float, Field(ge=2), AtMost(1_000_000, "no trial would ever be compared")
    ] = 3.0
    """ASHA keeps the best 1/reduction of trials at each rung; the next rung is reduction times
    later."""
    default_first: bool = True
    """Give the first trial the values of params.yaml for the keys that vary, if they lie in the
    space."""
    seed: Annotated[int, Field(ge=0), AtMost(2**32 - 1, "searchers take 32 bits")] = 0
    """Seed of the searcher."""
    evaluation: QuickConfig = QuickConfig()
    space: Annotated[dict[str, Any], AtMost(256, "params.yaml has no more keys")] = Field(
        default_factory=dict
    )
    """{key of params.yaml: its domain} (see pipelines/sweeps/domain.py)."""


class Sweep:
    """A checked sweep: its settings, its domains, and the params that it starts from."""

    def __init__(self, config: SweepConfig, raw: dict[str, Any], where: str = "sweep.yaml"):
        """raw: params.yaml as nested plain data. where: name of sweep.yaml in messages.

        Raises ParamsError if any trial could not run.
        """
        self.config, self.raw, self.where = config, raw, where
        if config.workers > 1 and config.resources.gpu % 1:
            raise ParamsError(
                f"{where}: resources: gpu: {config.resources.gpu:g} would put workers of one "
                "trial on one GPU, which their communication (NCCL) refuses: use workers: 1, or "
                "whole GPUs"
            )
        base = check_params(with_values(raw, {"cluster.num_workers": config.workers}))
        self.unchanged = base
        self.sampler = self._sampler(base)
        self.domains = self._domains(base)
        self._check_metric(base)
        self._check_corners()
        self.base = self.params({})
        """Params with the values that all trials share; `unchanged`: without them."""

    @property
    def objective(self) -> str:
        """Name of the number to minimise or maximise: the metric or its distance from its floor."""
        return objective(self.config.metric)

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether a low or a high objective is good."""
        higher = metric_entry(self.config.metric).better == "up"
        return self.config.mode or ("max" if higher else "min")

    @property
    def varying(self) -> dict[str, Domain]:
        """The keys that differ from trial to trial."""
        return {key: domain for key, domain in self.domains.items() if domain.varies}

    @property
    def total_nimg(self) -> int:
        """Images of the longest trial."""
        return max(params.run_settings().total_nimg for params in self._checked)

    @property
    def rungs(self) -> tuple[int, ...]:
        """Numbers of images after which trials are compared, besides the end of each trial."""
        config, total = self.config, self.total_nimg
        first = config.first_rung_kimg
        nimg = first * 1000 if first else total / config.reduction**2
        found = []
        while nimg < total:
            found.append(round(nimg))
            nimg *= config.reduction
        return tuple(found)

    def values(self, sampled: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the fixed keys of the space and of those in a searcher's sample."""
        out = {key: d.values[0] for key, d in self.domains.items() if not d.varies}
        return out | {key: self.domains[key].value(sample) for key, sample in sampled.items()}

    def params(self, values: Mapping[str, Any]) -> Params:
        """Params of a trial with these values. Raises ParamsError."""
        fixed = {"cluster.num_workers": self.config.workers, **self.values({})}
        return check_params(with_values(self.raw, fixed | dict(values)), "this trial")

    def default_sample(self) -> dict[str, Any] | None:
        """The sample with params.yaml's values of the keys that vary; None if one lies outside."""
        present = known_keys(self.base)
        found = {key: d.sample_of(present[key]) for key, d in self.varying.items()}
        return None if None in found.values() else found

    def _sampler(self, base: Params) -> str:
        name = self.config.evaluation.sampler or base.samplers[0]
        if name not in base.sampling:
            hint = spelling_hint(name, base.sampling)
            raise ParamsError(
                f"{self.where}: evaluation.sampler: {name!r} is not among the "
                f"samplers of params.yaml{hint}"
            )
        guidance = base.sampling[name].guidance
        if helped := sorted(entry.kind for entry in guidance if entry.needs.helper):
            raise ParamsError(
                f"{self.where}: evaluation.sampler: {name} has guidance {helped[0]}, which needs a "
                "second network that a trial does not have: name another"
            )
        return name

    def _domains(self, base: Params) -> dict[str, Domain]:
        known = known_keys(base)
        measured = (*STAGE_PARAMS["train"], f"sampling.{self.sampler}")
        domains = {}
        for key, raw in self.config.space.items():
            check_key(key, known, f"{self.where}: space")
            if not any(key == name or key.startswith(f"{name}.") for name in measured):
                raise ParamsError(
                    f"{self.where}: space: {key} changes nothing that a trial's training and quick "
                    f"evaluation measure alike: sweep keys of {', '.join(measured)}"
                )
            try:
                domains[key] = parse_domain(raw)
            except DomainError as error:
                raise ParamsError(f"{self.where}: space: {key}: {error}") from None
        if not any(domain.varies for domain in domains.values()):
            fixed = next(iter(domains), None)
            if fixed is not None:
                raise ParamsError(
                    f"{self.where}: nothing in the space varies: {fixed} has one value, which all "
                    "trials share; write {choice: [a, b]} or {loguniform: [0.001, 0.1]}"
                )
            raise ParamsError(
                f"{self.where}: the space is empty: name at least one key of params.yaml, such as "
                "train.lr: {loguniform: [0.001, 0.1]}"
            )
        return domains

    def _check_metric(self, base: Params) -> None:
        metric, known = self.config.metric, shown("sweep")
        if metric not in known:
            raise ParamsError(
                f"{self.where}: metric: no trial reports {metric!r}{spelling_hint(metric, known)}; "
                f"there are {', '.join(known)}"
            )
        if self.config.mode == "max" and self.objective != metric:
            raise ParamsError(
                f"{self.where}: mode: max would reward {metric} above its floor, where it is no "
                "better than below: leave mode at null, which minimises the distance from the floor"
            )
        key = "model.class_conditional"
        domain = self.domains.get(key)
        asked = domain.extremes if domain else (base.model.class_conditional,)
        if metric == "conditional_accuracy" and not all(asked):
            raise ParamsError(
                f"{self.where}: metric: no trial reports conditional_accuracy where "
                f"{key} is false: choose kid"
            )

    def _corners(self) -> list[dict[str, Any]]:
        """Combinations of extreme values: all, or random ones in which each extreme occurs."""
        extremes = {key: domain.extremes for key, domain in self.varying.items()}
        count = 1
        for values in extremes.values():
            count *= len(values)
        if count <= MAX_CORNERS:
            return [
                dict(zip(extremes, row, strict=True))
                for row in itertools.product(*extremes.values())
            ]
        pick = random.Random(0)
        rows = max(MAX_CORNERS, *(len(values) for values in extremes.values()))
        return [
            {
                key: values[i] if i < len(values) else pick.choice(values)
                for key, values in extremes.items()
            }
            for i in range(rows)
        ]

    def _check_corners(self) -> None:
        """Raise ParamsError if a combination of extreme values is not valid."""
        problems: dict[str, None] = {}
        checked = []
        for corner in self._corners():
            try:
                checked.append(self.params(corner))
            except ParamsError as error:
                head, *lines = str(error).splitlines()
                problems |= dict.fromkeys(line.strip() for line in lines or [head])
        if problems:
            more = len(problems) - 5
            shown = list(problems)[:5] + ([f"and {more} more"] if more > 0 else [])
            raise ParamsError(
                f"{self.where}: the space holds values that cannot run: " + "; ".join(shown)
            )
        self._checked = checked
        if self.config.scheduler == "asha" and not self.rungs:
            raise ParamsError(
                f"{self.where}: first_rung_kimg: {self.config.first_rung_kimg:g} is not below the "
                f"{self.total_nimg / 1000:g} kimg of a trial (train.total_kimg): lower it"
            )


def load_sweep(path: str | Path, params_path: str | Path = "params.yaml") -> Sweep:
    """Read and check sweep.yaml and params.yaml. Raises ParamsError."""
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise ParamsError(f"{path} must be a mapping with name, metric, trials and space")
    if "space" in raw and raw["space"] is None:
        raw["space"] = {}
    try:
        config = SweepConfig.model_validate(raw)
    except ValidationError as error:
        problems = []
        found = error.errors(include_url=False)
        for problem in found[:LISTED]:  # hints take time
            key = shortened(".".join(map(str, problem["loc"])))
            if problem["type"] == "extra_forbidden":
                section: Any = SweepConfig
                for part in problem["loc"][:-1]:
                    section = section.model_fields[part].annotation
                problems.append(
                    f"{key}: unknown key"
                    f"{spelling_hint(str(problem['loc'][-1]), section.model_fields)}"
                )
            else:
                message = problem["msg"].removeprefix("Value error, ")
                problems.append(f"{key}: {message[0].lower()}{message[1:]}")
        if len(found) > LISTED:
            problems.append(f"... and {len(found) - LISTED} more")
        raise ParamsError(f"{path}: " + "; ".join(problems)) from None
    return Sweep(config, read_yaml(params_path), str(path))
