"""Reads sweep.yaml, and checks it and the params of its trials before anything starts."""

import itertools
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from evaluation.metric_table import metric_entry, shown
from foundation.did_you_mean import spelling_hint
from pipelines.params import check_params
from pipelines.settings.dotted_keys import check_key, known_keys, with_values
from pipelines.settings.schema import Params
from pipelines.settings.yaml_file import LISTED, ParamsError, read_yaml
from pipelines.settings.yaml_scalars import shortened
from pipelines.sweeps.config import SweepConfig
from pipelines.sweeps.domain import Domain, DomainError, parse_domain
from pipelines.sweeps.objectives import objective
from pipelines.sweeps.swept_student import measured_keys, swept_student
from pipelines.sweeps.unmeasured import unmeasured_game
from pipelines.workspace.fingerprint import teacher_file
from training.run_settings import RunSettings

MAX_CORNERS = 256


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
        self.student = swept_student(config.space, base, where)
        """Name of the student that trials train; None: they train the denoiser."""
        self.sampler = self._sampler(base)
        self.domains = self._domains(base)
        self._check_metric(base)
        self._check_corners()
        self.base = self.params({})
        """Params with the values that all trials share; `unchanged`: without them."""
        named = config.evaluation.sampler is not None
        lost = (
            unmeasured_game(self.base, self.domains, self.sampler, config.metric, named)
            if self.student is None
            else None
        )
        if lost is not None:
            raise ParamsError(f"{where}: {lost}")

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
        return max(self.settings(params).total_nimg for params in self._checked)

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

    def settings(self, params: Params, teacher: str | None = None) -> RunSettings:
        """The settings with which a trial of these params trains; teacher: its weights."""
        return params.training_settings(self.student, teacher)

    @property
    def teachers(self) -> list[Path]:
        """Weights of the teachers of all trials; [] where they train the denoiser."""
        if self.student is None:
            return []
        return sorted({teacher_file(params, self.student) for params in self._checked})

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
        student = self.student
        own = base.samplers if student is None else base.students[student].samplers
        name = self.config.evaluation.sampler or own[0]
        if name not in base.sampling:
            hint = spelling_hint(name, base.sampling)
            raise ParamsError(
                f"{self.where}: evaluation.sampler: {name!r:.80} is not among the "
                f"samplers of params.yaml{hint}"
            )
        if student is not None and name not in own:
            raise ParamsError(
                f"{self.where}: evaluation.sampler: {name} is not among students.{student}."
                f"samplers: choose of {', '.join(own)}, or add it there"
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
        measured = measured_keys(self.student, self.sampler)
        domains, problems = {}, []
        for key, raw in self.config.space.items():
            try:
                check_key(key, known, "space")
                domains[key] = parse_domain(raw)
            except DomainError as error:
                problems.append(f"space: {key}: {error}")
            except ParamsError as error:
                problems.append(str(error))
                continue
            judged = self.student and key.rpartition(".")[2] in ("samplers", "lengths")
            if judged or not any(key == n or key.startswith(f"{n}.") for n in measured):
                problems.append(
                    f"space: {key} changes nothing that a trial's training and quick evaluation "
                    f"measure alike: sweep keys of {', '.join(measured)}"
                )
        if problems:
            raise ParamsError(f"{self.where}: " + "; ".join(problems[:LISTED]))
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
        if self.student is not None:  # which has no denoising loss
            known = [name for name in known if not name.startswith("held_out/")]
        if metric not in known:
            hint = spelling_hint(metric, known)
            raise ParamsError(
                f"{self.where}: metric: no trial reports {metric!r:.80}{hint}; "
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
                f"{self.total_nimg / 1000:g} kimg of a trial (total_kimg): lower it"
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
