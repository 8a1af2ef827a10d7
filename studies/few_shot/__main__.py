"""What does a denoiser tell apart that it never saw, from 1, 4 and 16 pictures of each class?

  python -m studies.few_shot --tasks classes       # Fashion-MNIST in outputs/dataset, 16x16
  python -m studies.emoji.install                  # once, for the other task
  python -m studies.few_shot --tasks nuance
  python -m studies.few_shot --list

classes: the denoiser is trained on five classes of Fashion-MNIST, and tells the five apart that it
never saw. nuance: man or woman, in emoji where every shot of a man is light and of a woman dark,
and in the test the other way round, in roles that neither the denoiser nor the shots had. Without
--denoiser the study trains a denoiser of each seed first. Beside the weights of noise levels stand
logistic regression on the bottleneck and the nearest shot in pixels. Each task, seed, number of
shots, arm and draw is a row in --rows; a row that stands is not computed again. Prints the table.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.console.command import check_argument, check_images, check_seed
from studies.staged import StageError

if TYPE_CHECKING:
    from studies.few_shot.tasks import Task

TASKS = ("classes", "nuance")
UNSEEN = "T-shirt/top,Pullover,Dress,Coat,Shirt"


def main(arguments: list[str] | None = None) -> None:
    """Make the denoisers, compute the rows that lack, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.few_shot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--tasks", default=",".join(TASKS), help="default: %(default)s")
    add("--arms", default="plain", help="default: %(default)s; all: every one")
    add("--shots", default="1,4,16", help="default: %(default)s")
    add("--draws", type=int, default=10, help="of the shots (default: %(default)s)")
    add("--images", type=int, default=1000, help="most images judged (default: %(default)s)")
    add("--levels", type=int, default=32, help="noise levels asked at (default: %(default)s)")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--unseen", default=UNSEEN, help="classes that no denoiser sees (default: %(default)s)")
    add("--emoji", type=Path, default=Path(".runs/studies/emoji"), metavar="FOLDER")
    add("--denoiser", type=Path, help="weights for one task and seed (default: it trains them)")
    add("--seeds", default="21,22,23", help="of the denoisers (%(default)s); 20 is for tuning")
    add("--kimg", type=float, default=300, help="length of that training (default: %(default)s)")
    add("--steps", type=int, help="of each adapter (default: by the number of shots)")
    add("--work", type=Path, default=Path(".runs/studies/few_shot"), metavar="FOLDER")
    add("--rows", type=Path, default=Path("studies/rows/few_shot"), metavar="FOLDER")
    add("--list", action="store_true", help="print the table of the rows that stand, and stop")
    options = parser.parse_args(arguments)
    from studies.few_shot.report import table

    if options.list:
        print(table(options.rows))
        return
    try:
        run(options)
    except (StageError, ValueError, OSError) as error:
        parser.error(str(error))
    print(table(options.rows))


def run(options: argparse.Namespace) -> None:
    """All rows that do not stand yet. Raises ValueError for options that ask for nothing known."""
    check_images("--images", options.images)
    check_argument("--draws", options.draws, 1, 10_000, "each is a row")
    check_argument("--levels", options.levels, 1, 100_000, "they are asked for each class")
    from foundation.did_you_mean import check_name
    from studies.few_shot.arms import ARMS, fit_settings
    from studies.few_shot.unit import unit

    names = list(ARMS) if options.arms == "all" else options.arms.split(",")
    tasks = options.tasks.split(",")
    counts, seeds = ([int(n) for n in text.split(",")] for text in (options.shots, options.seeds))
    for kind, some, known in (("arm", names, ARMS), ("task", tasks, TASKS)):
        for name in some:
            check_name(kind, name, known)
    for seed in seeds:
        check_seed("--seeds", seed)
    for what, some in (("task", tasks), ("seed", seeds)):
        if options.denoiser is not None and len(some) > 1:
            raise ValueError(f"--denoiser is of one {what}: name that with --{what}s")
    for name, seed in product(tasks, seeds):
        task = task_of(options, name, seed)
        for shots, draw, arm in product(counts, range(options.draws), names):
            settings = fit_settings(arm, shots, options.steps)
            unit(task, arm, settings, shots, draw, options.levels, options.rows)


def task_of(options: argparse.Namespace, name: str, seed: int) -> "Task":
    """The task of that name with its denoiser of that seed, which is trained if none is given."""
    from studies.few_shot import denoisers
    from studies.few_shot.tasks import ClassesTask, NuanceTask

    training = (options.work, seed, options.kimg)
    if name == "classes":
        unseen = options.unseen.split(",")
        weights = options.denoiser or denoisers.of_classes(options.dataset, unseen, *training)
        return ClassesTask(weights, seed, options.images, options.dataset, tuple(unseen))
    weights = options.denoiser or denoisers.of_emoji(options.emoji, *training)
    return NuanceTask(weights, seed, options.images, options.emoji)


if __name__ == "__main__":
    main()
