"""Look before anything long starts: what will run, whether it can, how long it takes.

Exit code 1, with a line for each problem and its mend, if a stage would surely fail.
"""

import os
import sys
from collections.abc import Iterator

from foundation.counted import counted
from foundation.machine_load import busy_remark
from foundation.number_names import number_name
from pipelines.checkup.disk import disk_free, disk_needed, disk_problem
from pipelines.checkup.machine import precision_line, speed_lines
from pipelines.checkup.network import network_lines
from pipelines.checkup.places import problems
from pipelines.checkup.places import remarks as remarks_on_places
from pipelines.console.command import parser, run_stage
from pipelines.forecast.duration import about
from pipelines.params import load_params
from pipelines.ray_jobs.session import describe_cluster, local_precision_note
from pipelines.settings.cross_checks import remarks
from pipelines.settings.schema import Params
from pipelines.workspace.dvc_command import git_problem, settle_git
from pipelines.workspace.leftovers import leftovers_line
from pipelines.workspace.paths import dvc_root
from pipelines.workspace.user import missing_for_dvc


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--quick",
        action="store_true",
        help="do not measure the speed of training and judging, nor try whether the weights of "
        "train.init_from fit the network (their files are checked)",
    )
    args = arguments.parse_args()
    params = load_params(args.params)
    found = list(problems(params))
    for heading, text in (*plan(params), *network_lines(params)):
        say(heading, text)
    measured, students, own = None, {}, None
    if not (args.quick or found or params.cluster.address):
        from pipelines.forecast.autoencoder import autoencoder_seconds
        from pipelines.forecast.kept import measured as measure

        try:
            measured = measure(params, dvc_root(), anew=True)
            own = autoencoder_seconds(params)
            for name in params.distil:
                students[name] = measure(params, dvc_root(), name, anew=True)
        except (ValueError, RuntimeError, MemoryError) as error:
            which = "training" if measured is None else f"student {params.distil[len(students)]}"
            found.append(f"{which} cannot start: {str(error).splitlines()[0]}")
    if measured is not None:
        for heading, text in speed_lines(params, measured, students):
            say(heading, text)
        if own is not None:
            say("time", f"the autoencoder's own training {about(own)}, which comes first")
        say("precision", precision_line(params))
    needed, free = disk_needed(params, measured, students), disk_free()
    say("disk", f"{free / 1e9:.0f} GB free, about {needed / 1e9:.1f} GB needed besides the images")
    say("afterwards", "reports/report.html, outputs/evaluate/*/samples.png, and `make ui`")
    for note in notes(params, measured is not None):
        say("note", note)
    full = disk_problem(needed, free)
    found += [full] if full else []
    for problem in found:
        say("problem", problem)
    if found:
        sys.exit(f"error: {counted(len(found), 'problem')}: nothing was started")


def say(heading: str, text: str) -> None:
    print(f"{heading:<11}{text}", flush=True)


def plan(params: Params) -> Iterator[tuple[str, str]]:
    """(heading, text) of what is about to run."""
    settings, side = params.run_settings(), params.dataset.resolution
    items = len(params.ema.lengths) * len(params.samplers)
    yield "data", f"{params.dataset.source} at {side}x{side}"
    if (config := params.autoencoder).kind != "none":
        small = config.latent_side(side)
        kimg = getattr(config, "total_kimg", None)  # of an autoencoder that is trained
        first = "" if kimg is None else f"; its own training comes first, {kimg:g} kimg"
        yield (
            "latents",
            f"{config.kind}: {config.latent_channels} channels at {small}x{small} in place of "
            f"pixels{first}",
        )
    text = params.model.text
    if text is not None:
        place = "" if text.folder is None else f" ({text.folder})"
        yield "text", f"captions by encoder {text.kind}{place}, {text.tokens} tokens at most"
    yield (
        "training",
        f"{settings.total_nimg / 1000:g} kimg, structure game: {params.structure.kind}, "
        f"{describe_cluster(params.cluster)}",
    )
    yield (
        "judging",
        f"{params.evaluation.num_images} images for each of {items} (EMA length, sampler) pairs",
    )
    for name in params.distil:
        student, one = params.students[name], params.student_settings(name)
        pairs = len(student.lengths) * len(student.samplers)
        yield (
            "student",
            f"{name}: {student.kind}, {one.total_nimg / 1000:g} kimg from the teacher of EMA "
            f"length {number_name(student.teacher)}; "
            f"{counted(pairs, '(EMA length, sampler) pair')} judged",
        )
    busy = busy_remark()
    rough = f"; speed and time below are {busy}" if busy else ""
    yield "machine", f"{os.cpu_count()} processors{rough}"
    latents = "" if params.autoencoder.kind == "none" else "autoencoder, encode, "
    students = "distil, evaluate_students, " if params.distil else ""
    yield (
        "stages",
        f"prepare, {latents}reference, train, reconstruct, evaluate, {students}summarize; "
        "what is up to date is not run again",
    )


def notes(params: Params, precision_told: bool) -> Iterator[str]:
    """What a user should know, although the stages run.

    precision_told: that of the speed of bf16 a line has been printed already.
    """
    yield from place()
    yield from remarks_on_places(params)
    if not precision_told:
        slow = local_precision_note(params.train.precision, params.cluster)
        if slow:
            yield slow
    if params.cluster.address:
        yield (
            f"the speed is not measured here, since training runs on {params.cluster.address}: "
            "the train stage tells the time left after its first seconds"
        )
    yield from remarks(params)
    left = leftovers_line(params)
    if left:
        yield left


def place() -> Iterator[str]:
    """What a user must know of the place in which the stages will run."""
    told = settle_git()
    if told:
        yield f"DVC: {told}"
    problem = git_problem()
    if problem:
        yield f"the stages run, but `dvc exp` and pipelines.replicate do not: {problem}"
    missing = missing_for_dvc()
    if missing:
        yield missing


if __name__ == "__main__":
    run_stage(main)
