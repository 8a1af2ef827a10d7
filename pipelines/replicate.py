"""Repeat a comparison with several seeds: one DVC experiment per seed and variant.

    python -m pipelines.replicate --seeds 5 -S structure.kind=none,graph

Every combination of the -S values is a variant; the others are compared with the first. An
experiment that is done already is not run again: after a stop the same command continues, and with
more seeds it runs the new ones only. An experiment is the whole pipeline, with the students that
`distil` lists, each of the teacher of its own seed.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from evaluation.judged_alike import refusal
from foundation.atomic_files import write_text
from pipelines.console.command import run_stage
from pipelines.console.progress import duration
from pipelines.console.terminal import terminal
from pipelines.params import check_params
from pipelines.replication.experiments import SECONDS, as_result, keep, kept, result_file, run
from pipelines.replication.plan import (
    Experiment,
    check_item,
    judged_differently,
    plan,
    plan_remarks,
)
from pipelines.replication.report import (
    Result,
    print_judging,
    print_tables,
    summarise,
    write_figure,
)
from pipelines.replication.time_left import TimeLeft, by_earlier_run
from pipelines.replication.variant_names import short_variants
from pipelines.reporting.terminal_tables import print_by_run
from pipelines.settings.dotted_keys import with_values
from pipelines.settings.yaml_file import DEFAULT_PATH, ParamsError, read_yaml
from pipelines.workspace.dvc_command import git_problem, run_dvc
from pipelines.workspace.fingerprint import student_params_hash, train_params_hash
from pipelines.workspace.paths import DATASET, REPORTS, dvc_root
from pipelines.workspace.wanted_runs import no_longer_wanted, want


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
        "--anyway",
        action="store_true",
        help="run variants that are judged by other data or another evaluation, and show them side "
        "by side, without differences and each beside its own floor",
    )
    arguments.add_argument(
        "--out", type=Path, default=REPORTS / "replicate", help="folder (default: %(default)s)"
    )
    args = arguments.parse_args()
    raw, root = read_yaml(DEFAULT_PATH), dvc_root()
    experiments = plan(raw, args.seeds, args.set_param)
    check_item(args.item, raw, experiments)
    check_judging(experiments, raw, args.anyway)
    for remark in plan_remarks(raw, experiments):
        print(f"replicate: note: {remark}", flush=True)
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
        write_results(results, args.out, args.anyway)
    if failures:
        raise RuntimeError(
            f"{len(failures)} of {len(experiments)} experiments failed; the same "
            f"command tries them again. The first: {failures[0]}"
        )


def check_judging(experiments: Sequence[Experiment], raw: dict[str, Any], anyway: bool) -> None:
    """Before anything runs: print the params by which variants would be judged differently.

    Raises ParamsError if there are any, unless `anyway`.
    """
    rows = [[key, *values] for key, values in judged_differently(raw, experiments).items()]
    if rows:
        variants = list(dict.fromkeys(experiment.variant for experiment in experiments))
        title = "judged differently"
        head = ["judged by", *short_variants(variants)]
        print_by_run(terminal(), title, head, rows, len(variants))
        if not anyway:
            raise ParamsError(refusal(rows, "variants"))


def run_all(
    experiments: Sequence[Experiment], raw: dict[str, Any], root: Path, item: str | None
) -> tuple[list[Result], list[str]]:
    """Run what is not done yet: (results of all that succeeded, messages of those that failed)."""
    results, failures = [], []
    seeds = ",".join(dict.fromkeys(str(e.seed) for e in experiments))
    variants = "; ".join(dict.fromkeys(e.variant for e in experiments))
    who = f"the replicate of {variants} with seeds {seeds}"
    for experiment in experiments:  # pipelines.clean keeps runs of these
        params = check_params(with_values(raw, experiment.values))
        want(root, train_params_hash(params), who)
        for name in params.distil:
            want(root, student_params_hash(params, name), who)
    done = {e.tag: content for e in experiments if (content := kept(result_file(root, e)))}
    times = times_before(experiments, raw, root, done)
    for count, experiment in enumerate(experiments, 1):
        where = (
            f"replicate {count}/{len(experiments)}: seed {experiment.seed}, {experiment.variant}"
        )
        content = done.get(experiment.tag)
        if content is not None:
            print(f"{where}: done already", flush=True)
        else:
            print(f"{where}: running", flush=True)
            start = time.monotonic()
            try:
                report, trained = run(experiment, raw, _show)
            except RuntimeError as error:
                print(f"{where}: failed: {error}", flush=True)
                failures.append(f"seed {experiment.seed}, {experiment.variant}: {error}")
                continue
            seconds = time.monotonic() - start
            if trained:
                times.add(experiment.variant, seconds)
            content = keep(result_file(root, experiment), report, seconds if trained else None)
            rest = [e.variant for e in experiments[count:] if e.tag not in done]
            print(f"{where}: done in {duration(seconds)}{_to_go(times, rest)}", flush=True)
        results.append(as_result(experiment, content, item))
    if not failures:
        no_longer_wanted(root, who)
    return results, failures


def times_before(
    experiments: Sequence[Experiment],
    raw: dict[str, Any],
    root: Path,
    done: dict[str, dict[str, Any]],
) -> TimeLeft:
    """Times of what is done; prints how many experiments will run, and for how long if it is known.

    Where none of them has been timed, an earlier run in MLflow tells. done: {tag: kept result}.
    """
    rest = [experiment for experiment in experiments if experiment.tag not in done]
    timed = [e for e in experiments if done.get(e.tag, {}).get(SECONDS)]
    times, source = TimeLeft(), ""
    params = check_params(with_values(raw, rest[0].values)) if rest else None
    if params and not timed and (root / "mlflow.db").is_file():
        found = by_earlier_run(params, root)
        if found is not None:
            times, source = TimeLeft(found[0]), f", by the times of the run {found[1]!r}"
    for experiment in timed:
        times.add(experiment.variant, done[experiment.tag][SECONDS])
    seconds = times.all([experiment.variant for experiment in rest])
    if rest:
        how_long = (
            f"about {duration(seconds)} in all{source}"
            if seconds is not None
            else "how long it takes is told when the first is done"
        )
        print(f"replicate: {len(rest)} of {len(experiments)} are to run: {how_long}", flush=True)
    return times


def _to_go(times: TimeLeft, rest: Sequence[str]) -> str:
    """ "; 4 to go, about 20:10 left". rest: variants of the experiments that are still to run."""
    seconds = times.all(rest)
    left = f", about {duration(seconds)} left" if seconds is not None else ""
    return f"; {len(rest)} to go{left}" if rest else ""


def write_results(results: Sequence[Result], out: Path, anyway: bool = False) -> None:
    """Print the tables; write summary.json and the figure.

    Raises ValueError if the results were not judged alike, unless `anyway`.
    """
    summary = summarise(results)
    if summary.judged_differently and not anyway:
        print_judging(summary)
        raise ValueError(refusal(summary.judged_differently, "variants"))
    print_tables(summary)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "summary.json", json.dumps(summary.as_dict(), indent=1) + "\n")
    write_figure(summary, results, out / "replicate.png")
    print(f"drawn: {out / 'replicate.png'}; numbers: {out / 'summary.json'}")


def _show(line: str) -> None:
    """Print, indented, the lines that say which stage runs, or what a cluster waits for."""
    if line.startswith(("Running stage", "Stage ")) or "waiting: " in line:
        print(f"  {line}", flush=True)


if __name__ == "__main__":
    run_stage(main)
