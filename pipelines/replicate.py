"""Repeat a comparison with several seeds: one DVC experiment per seed and variant.

    python -m pipelines.replicate --seeds 5 -S structure.kind=none,graph

Every combination of the -S values is a variant; the others are compared with the first. An
experiment that is done already is not run again: after a stop the same command continues, and with
more seeds it runs the new ones only.
"""

import argparse
import itertools
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from foundation.atomic_files import write_text
from foundation.json_files import parse_object, read_object
from pipelines.console.command import run_stage
from pipelines.params import check_params
from pipelines.replication.report import Result, print_tables, summarise, write_figure
from pipelines.settings.dotted_keys import (
    check_key,
    known_keys,
    override_text,
    set_options,
    with_values,
)
from pipelines.settings.yaml_file import DEFAULT_PATH, ParamsError, read_value, read_yaml
from pipelines.settings.yaml_scalars import shortened
from pipelines.workspace.dvc_command import git_problem, run_dvc
from pipelines.workspace.fingerprint import pipeline_tag
from pipelines.workspace.paths import DATASET, REPORTS, dvc_root, item_name

MAX_VARIANTS, MAX_SEEDS = 32, 1000


@dataclass(frozen=True)
class Experiment:
    """One seed of one variant."""

    variant: str
    seed: int
    values: dict[str, Any]
    tag: str
    """Hash of all params, data and code that its result depends on."""

    @property
    def name(self) -> str:
        """Name of the DVC experiment."""
        return f"rep-{self.tag[:10]}-s{self.seed}"


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "--seeds",
        default="5",
        metavar="N",
        help="how many, from params.yaml's seed on; or a list such as 3,7,11 "
        "(default: %(default)s)",
    )
    arguments.add_argument(
        "-S",
        "--set-param",
        action="append",
        default=[],
        metavar="KEY=A,B",
        help="values of a key of params.yaml to compare; may be given again",
    )
    arguments.add_argument(
        "--item",
        metavar="LENGTH-SAMPLER",
        help="compare this item of the evaluation, such as 0.1-heun18; "
        "without: the best of each experiment by KID",
    )
    arguments.add_argument(
        "--out", type=Path, default=REPORTS / "replicate", help="folder (default: %(default)s)"
    )
    args = arguments.parse_args()
    raw, root = read_yaml(DEFAULT_PATH), dvc_root()
    experiments = plan(raw, args.seeds, args.set_param)
    check_item(args.item, raw, experiments)
    problem = git_problem()
    if problem:
        raise RuntimeError(f"each seed is kept as a DVC experiment, in git; {problem}")
    if not (DATASET / "dataset.json").is_file():  # experiments' names depend on its hash
        run_dvc("repro", "prepare", show=_show)
        experiments = plan(raw, args.seeds, args.set_param)
    (root / ".runs").mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / ".runs" / "replicate.lock", timeout=0):
            results, failures = run_all(experiments, raw, root, args.item)
    except Timeout:
        raise RuntimeError("another replicate is running here: wait for it, or stop it") from None
    if results:
        print(f"of {args.item or 'the best item of each experiment by KID'}:")
        write_results(results, args.out)
    if failures:
        raise RuntimeError(
            f"{len(failures)} of {len(experiments)} experiments failed; the same "
            f"command tries them again. The first: {failures[0]}"
        )


def plan(raw: dict[str, Any], seeds: str, options: Sequence[str]) -> list[Experiment]:
    """All experiments to run. Raises ParamsError if the params of any are not valid."""
    base = check_params(raw)
    choices: dict[str, list[Any]] = {}
    for option in options:
        key, given = parse_option(option)
        check_key(key, known_keys(base), "-S")
        if key == "seed":
            raise ParamsError("-S seed: give the seeds with --seeds, such as --seeds 3,7,11")
        if key in choices:
            raise ParamsError(f"-S {key} is given twice: write {key}=A,B")
        choices[key] = given
    rows = list(itertools.product(*choices.values()))
    if len(rows) > MAX_VARIANTS:
        raise ParamsError(f"-S makes {len(rows)} variants: more than {MAX_VARIANTS} is for a sweep")
    found = []
    for seed in parse_seeds(seeds, base.seed):
        for row in rows:
            variant = dict(zip(choices, row, strict=True))
            name = " ".join(f"{k}={override_text(v)}" for k, v in variant.items()) or "params.yaml"
            values = variant | {"seed": seed}
            params = check_params(with_values(raw, values), f"params.yaml with {name}")
            found.append(Experiment(name, seed, values, pipeline_tag(params)))
    return found


def check_item(item: str | None, raw: dict[str, Any], experiments: Sequence[Experiment]) -> None:
    """Raise ParamsError unless every experiment evaluates the item that is to be compared."""
    for experiment in experiments if item else ():
        params = check_params(with_values(raw, experiment.values))
        names = [item_name(n, s) for n in params.ema.lengths for s in params.samplers]
        if item not in names:
            raise ParamsError(
                f"--item {item}: with {experiment.variant} there are {', '.join(names)}"
            )


def parse_seeds(text: str, first: int) -> list[int]:
    """ "5" means five seeds from `first` on, "3,7" these two. Raises ParamsError."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    shown, count = shortened(text), len(numbers) if "," in text else sum(numbers)
    if count > MAX_SEEDS:
        raise ParamsError(f"--seeds {shown}: at most {MAX_SEEDS:,}, as each is a whole run")
    if "," not in text and len(numbers) == 1 and numbers[0] >= 1:
        return list(range(first, first + numbers[0]))
    if "," in text and numbers and min(numbers) >= 0 and len(set(numbers)) == len(numbers):
        return numbers
    raise ParamsError(f"--seeds {shown}: give a number of at least 1, or different seeds: 3,7,11")


def parse_option(option: str) -> tuple[str, list[Any]]:
    """ "key=a,b" -> (key, [a, b]); commas within brackets or quotes do not separate values.

    Raises ParamsError.
    """
    key, equals, text = option.partition("=")
    key = key.strip().lstrip("+")
    if not equals or not key or not text.strip():
        raise ParamsError(
            f"-S {option}: write KEY=VALUE or KEY=A,B, such as structure.kind=none,graph"
        )
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    try:
        values = [read_value(part.replace(":", ": ") if "{" in part else part) for part in parts]
    except ParamsError as error:
        raise ParamsError(f"-S {shortened(option)}: the values cannot be read: {error}") from None
    return key, values


def run_all(
    experiments: Sequence[Experiment], raw: dict[str, Any], root: Path, item: str | None
) -> tuple[list[Result], list[str]]:
    """Run what is not done yet: (results of all that succeeded, messages of those that failed)."""
    results, failures = [], []
    for count, experiment in enumerate(experiments, 1):
        where = (
            f"replicate {count}/{len(experiments)}: seed {experiment.seed}, {experiment.variant}"
        )
        path = root / ".runs" / "replicate" / f"{experiment.tag}.json"
        kept = _kept(path)
        if kept is not None:
            print(f"{where}: done already", flush=True)
        else:
            print(f"{where}: running", flush=True)
            try:
                kept = run(experiment, raw)
                write_text(path, json.dumps(kept))
            except RuntimeError as error:
                print(f"{where}: failed: {error}", flush=True)
                failures.append(f"seed {experiment.seed}, {experiment.variant}: {error}")
                continue
        metrics = chosen(kept, item)
        results.append(Result(experiment.variant, experiment.seed, metrics))
    return results, failures


def run(experiment: Experiment, raw: dict[str, Any]) -> dict[str, Any]:
    """Let DVC run the experiment in a copy of the workspace; returns its reports/metrics.json.

    The workspace stays as it is; stages whose result DVC's cache has are not run again. Raises
    RuntimeError with the error that the stage or DVC printed.
    """
    revision = _revision(experiment.name)
    if revision is None:
        run_dvc(
            "exp",
            "run",
            "--temp",
            "-n",
            experiment.name,
            *set_options(raw, experiment.values),
            show=_show,
        )
        revision = _revision(experiment.name)
    if revision is None:
        raise RuntimeError("DVC made no experiment of that name")
    text = _git("show", f"{revision}:{REPORTS}/metrics.json")
    if text is None:
        raise RuntimeError(f"experiment {experiment.name} holds no {REPORTS}/metrics.json")
    return parse_object(text)


def _kept(path: Path) -> dict[str, Any] | None:
    """The result of an experiment that is done; None if there is none, or a damaged one."""
    try:
        kept = read_object(path)
    except (OSError, ValueError):
        return None
    return kept if kept.keys() >= {"best", "items"} else None


def chosen(metrics_json: dict[str, Any], item: str | None) -> dict[str, float]:
    """{metric: value} of one item of a reports/metrics.json; item None: of the best item."""
    name = item or metrics_json["best"]["item"]
    if name not in metrics_json["items"]:
        raise ParamsError(f"--item {name}: the evaluation has {', '.join(metrics_json['items'])}")
    entry = metrics_json["items"][name]
    values = {k: v.get("value") for k, v in entry.items() if isinstance(v, dict)}
    return {k: float(v) for k, v in values.items() if isinstance(v, int | float)}


def write_results(results: Sequence[Result], out: Path) -> None:
    """Print the tables; write summary.json and the figure."""
    summary = summarise(results)
    print_tables(summary)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "summary.json", json.dumps(summary.as_dict(), indent=1) + "\n")
    write_figure(summary, results, out / "replicate.png")
    print(f"drawn: {out / 'replicate.png'}; numbers: {out / 'summary.json'}")


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


def _show(line: str) -> None:
    """Print, indented, the lines that say which stage runs, or what a cluster waits for."""
    if line.startswith(("Running stage", "Stage ")) or "waiting: " in line:
        print(f"  {line}", flush=True)


if __name__ == "__main__":
    run_stage(main)
