"""The numbers and labels of the images that a command line asks for."""

import argparse
from collections.abc import Sequence

import numpy as np

from pipelines.console.command import MOST_IMAGES, check_images, check_seed
from pipelines.settings.yaml_scalars import shortened
from sampling.class_words import asked_classes


def check_counts(args: argparse.Namespace) -> None:
    """Raise ValueError for numbers of images, frames and columns that cannot be drawn."""
    if args.count is not None and args.count < 1:
        raise ValueError(f"--count {args.count}: ask for at least one image")
    check_images("--count", args.count)
    check_images("--batch-size", args.batch_size)
    check_seed("--seed", args.seed)
    if args.prompt and args.labels:
        raise ValueError("--prompt says in words what --labels says by number: give one of the two")
    for name, number in (("--frames", args.frames), ("--columns", args.columns)):
        if not 2 <= number <= 1000:
            raise ValueError(f"{name} {number}: give 2 to 1000")
    if args.interpolate and (args.count is not None or args.seeds):
        raise ValueError(
            "--interpolate draws images between its two numbers: leave --count and --seeds out, "
            "and say by --frames how many there are"
        )


def chosen_seeds(args: argparse.Namespace, count: int) -> list[int]:
    """Numbers of the images: --seeds, or 0 to --count - 1; `count` of them where neither is given.

    Raises ValueError where --seeds and --count name different numbers of images.
    """
    if not args.seeds:
        return list(range(args.count or count))
    seeds = numbers(args.seeds, "--seeds")
    if args.count is not None and args.count != len(seeds):
        raise ValueError(
            f"--seeds {shortened(args.seeds)} names {len(seeds)} images and --count asks for "
            f"{args.count}: give one of the two"
        )
    return seeds


def numbers(text: str, name: str) -> list[int]:
    """The whole numbers that a text lists: "0-3,7" -> [0, 1, 2, 3, 7]. Raises ValueError."""
    out: list[int] = []
    shown = shortened(text)
    for part in text.split(","):
        first, dash, last = (
            part.strip().partition("-") if not part.startswith("-") else (part, "", "")
        )
        try:
            low = int(first)
            high = int(last) if dash else low
        except ValueError:
            raise ValueError(f"{name} {shown!r}: give numbers and ranges such as 0-3,7") from None
        if max(abs(low), abs(high)) >= 2**63 or len(out) + high - low >= MOST_IMAGES:
            raise ValueError(
                f"{name} {shown!r}: at most {MOST_IMAGES:,} numbers below 2^63 can be listed"
            )
        out += range(low, high + 1)
    if not out:
        raise ValueError(f"{name} {shown!r} names no number")
    return out


def chosen_labels(
    text: str | None, count: int, num_classes: int, names: Sequence[str] = ()
) -> np.ndarray:
    """Label of each image, int64 [count]: those of `text` in turn, -1 without classes."""
    return np.resize(np.asarray(named_labels(text, num_classes, names), np.int64), count)


def named_labels(text: str | None, num_classes: int, names: Sequence[str] = ()) -> list[int]:
    """The labels that a text names, once each time; None: all classes, or -1 without classes.

    Raises ValueError for a class that there is not.
    """
    if not num_classes:
        if text not in (None, "-1"):
            raise ValueError(f"--labels {text}: these weights know no classes: leave it away")
        return [-1]
    if not text:
        return list(range(num_classes))
    return asked_classes(text, names, num_classes, lambda word: numbers(word, "--labels"))
