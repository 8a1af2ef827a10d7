"""Learn classes from a few labelled images each, upon one frozen denoiser, and test it.

  python -m pipelines.few_shot outputs/ema/0.1.safetensors --shots 4 --classes "3,5,8"

Takes SHOTS training images of each class at random, fits one small adapter of the denoiser to each
class, and says of held-out images which class's denoiser errs least (docs/few_shot.md). The
denoiser need not know the classes: --dataset names another prepared folder. Prints the accuracy
beside two controls; writes the adapters and few_shot.json into --out. An adapter that is there
already, of the same images and settings, is not fitted again.
"""

import argparse
from pathlib import Path

from pipelines.console.command import check_argument, check_seed, run_stage
from pipelines.workspace.paths import DATASET, EMA

OUT = Path("outputs/few_shot")
WEIGHTS = ("time_step", "likelihood", "uniform")


def main() -> None:
    """Read the options, check them, and hand them to `learn`."""
    args = arguments().parse_args()
    check(args)
    sigma_range = pair(args.sigma_range)
    rounds = schedule(args.rounds, args.levels)
    # These take seconds to import, which --help does without.
    from pipelines.few_shot.learn import learn
    from training.few_shot.settings import FitSettings

    settings = FitSettings(
        rank=args.rank,
        steps=args.steps,
        batch=args.batch,
        lr=args.lr,
        scale=args.scale,
        sigma_range=sigma_range,
        flip=args.flip,
        shift=args.shift,
        prior_weight=1.0 if args.prior else 0.0,
    )
    print(learn(args, settings, rounds), end="")


def arguments() -> argparse.ArgumentParser:
    """The options, in three groups."""
    out = argparse.ArgumentParser(
        prog="python -m pipelines.few_shot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    out.add_argument(
        "weights",
        type=Path,
        nargs="?",
        help=f"weights (.safetensors) of the denoiser (default: the only ones in {EMA})",
    )
    add = out.add_argument_group("which images").add_argument
    add("--shots", type=int, default=4, help="labelled images of each class (%(default)s)")
    add("--classes", metavar="A,B", help="names of classes (default: all of the data set)")
    add(
        "--dataset",
        type=Path,
        default=DATASET,
        help="a prepared folder; it need not be the one that the denoiser was trained on "
        "(default: %(default)s, by its latents where there are some)",
    )
    add(
        "--test",
        choices=("held_out", "remaining"),
        default="held_out",
        help="which images are judged: held-out ones, which no denoiser of this data set was "
        "trained on, or all that are no shots (default: %(default)s)",
    )
    add("--images", type=int, default=500, help="most images judged (%(default)s)")
    add("--seed", type=int, default=0, help="which images, and all noise (%(default)s)")
    add = out.add_argument_group("how each class is learned").add_argument
    add("--rank", type=int, default=8, help="of the adapters (%(default)s)")
    add("--steps", type=int, default=100, help="of training, of each class (%(default)s)")
    add("--batch", type=int, default=16, help="noisy images a step (%(default)s)")
    add("--lr", type=float, default=0.01, help="learning rate (%(default)s)")
    add("--scale", type=float, default=1.0, help="strength of the fitted adapters (%(default)s)")
    add(
        "--sigma-range",
        default="0.05,5",
        metavar="LOW,HIGH",
        help="noise levels at which adapters are fitted, act and are judged (%(default)s)",
    )
    add("--flip", action="store_true", help="mirror half of the images shown")
    add("--shift", type=int, default=0, help="move them by up to so many pixels (%(default)s)")
    add(
        "--prior",
        type=int,
        default=0,
        metavar="N",
        help="training images of no class asked for, whose denoising should stay (%(default)s)",
    )
    add = out.add_argument_group("how images are judged").add_argument
    add("--weight", choices=WEIGHTS, default="time_step", help="of the errors (%(default)s)")
    add("--levels", type=int, default=32, help="noise levels asked at (%(default)s)")
    add(
        "--rounds",
        metavar="LEVELS:CLASSES,...",
        help="drop classes on the way: 8:3,32:1 asks all classes at 8 levels, keeps the best 3, "
        "asks these at 32 (default: all classes at all levels)",
    )
    add("--out", type=Path, default=OUT, help="where results go (default: %(default)s)")
    return out


def check(args: argparse.Namespace) -> None:
    """Raise ValueError for numbers that nothing can be done with."""
    check_argument("--shots", args.shots, 1, 10_000, "they are kept in memory")
    check_argument("--images", args.images, 1, 1_000_000, "they are kept in memory")
    check_argument("--rank", args.rank, 1, 4096, "no layer is as wide")
    check_argument("--steps", args.steps, 1, 10_000_000, "a few images are learned sooner")
    check_argument("--batch", args.batch, 1, 65_536, "they are kept in memory")
    check_argument("--shift", args.shift, 0, 1024, "no image is as wide")
    check_argument("--prior", args.prior, 0, 1_000_000, "they are kept in memory")
    check_argument("--levels", args.levels, 1, 100_000, "they are asked for each class")
    check_seed("--seed", args.seed)


def pair(text: str) -> tuple[float, float]:
    """Two numbers with a comma between them. Raises ValueError for anything else."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise ValueError(f"--sigma-range {text}: give LOW,HIGH, such as 0.05,5") from None
    return low, high


def schedule(text: str | None, levels: int) -> list[tuple[int, int]]:
    """(levels, classes kept) of each round. Raises ValueError where the text is no such list."""
    if text is None:
        return [(levels, 1)]
    try:
        return [(int(asked), int(kept)) for asked, kept in (p.split(":") for p in text.split(","))]
    except ValueError:
        raise ValueError(f"--rounds {text}: give LEVELS:CLASSES,... such as 8:3,32:1") from None


if __name__ == "__main__":
    run_stage(main)
