"""Draw images from stored weights: PNG files, one grid, or an npz. Needs neither DVC nor Ray.

examples:
  python -m pipelines.sample outputs/ema/0.1.safetensors --count 64 --grid samples.png
  python -m pipelines.sample outputs/ema/0.1.safetensors --labels 3,7 --seeds 0-9 --out pictures
  python -m pipelines.sample outputs/ema/0.1.safetensors --solver unipc --solver-option order=3 \\
      --grid-name arctan --steps 8 --npz samples.npz
  python -m pipelines.sample outputs/ema/0.1.safetensors --sampler heun18 --guide classifier_free=2
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ValidationError

from evaluation.pictures import sample_grid
from pipelines.console.command import MOST_IMAGES, check_images, check_seed, run_stage
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.settings.yaml_file import DEFAULT_PATH, read_value
from pipelines.settings.yaml_scalars import shortened
from sampling.class_words import asked_classes
from sampling.config import SamplerConfig
from sampling.drawn_with import check_folder, drawn_with, png_text
from sampling.grids.table import GRIDS
from sampling.guidance.table import KINDS, weighted_kinds
from sampling.request import GenerationRequest
from sampling.solvers.table import SOLVERS


def command_line() -> argparse.ArgumentParser:
    head, _, examples = (__doc__ or "").partition("\n\n")
    out = argparse.ArgumentParser(
        description=head, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("weights", type=Path, help=".safetensors with its .json beside it")
    out.add_argument("--count", type=int, help="number of images (default: one per seed, or 64)")
    out.add_argument(
        "--seeds",
        help="image numbers, such as 0-63 or 1,5,9; image i depends on (--seed, i) alone",
    )
    out.add_argument("--seed", type=int, default=0, help="seed of the whole set (default: 0)")
    out.add_argument(
        "--labels",
        help="class numbers or names, repeated in turn, such as 3, 0-9 or cat,dog; default: all "
        "classes in turn; -1: unconditional; name:3 where 3 is also another class's number",
    )
    what = out.add_argument_group("what to write (at least one)")
    what.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="one PNG an image; a folder that holds images of other weights, sampler or --seed is "
        "refused",
    )
    what.add_argument("--grid", type=Path, metavar="PNG", help="all images on one sheet")
    what.add_argument("--npz", type=Path, metavar="NPZ", help="arrays images, labels, seeds")
    how = out.add_argument_group("sampler")
    how.add_argument(
        "--sampler",
        help="a name under `sampling` in the params file; what is not given below comes from it "
        "(without it: heun on karras, 18 steps)",
    )
    how.add_argument("--params", default=DEFAULT_PATH, help="(default: %(default)s)")
    how.add_argument("--solver", help=", ".join(SOLVERS))
    grids = ", ".join(name for name in GRIDS if name != "explicit")
    how.add_argument("--grid-name", help=f"time grid: {grids}")
    how.add_argument("--steps", type=int, help="of the time grid; 1: from sigma_max to 0 at once")
    how.add_argument("--sigma-min", type=float, help="noise level of the last step but the zero")
    how.add_argument("--sigma-max", type=float, help="noise level of the start")
    how.add_argument("--solver-option", action="append", default=[], metavar="KEY=VALUE")
    how.add_argument("--grid-option", action="append", default=[], metavar="KEY=VALUE")
    how.add_argument(
        "--adapter",
        action=argparse.BooleanOptionalAction,
        help="switch on the adapter that the structure game trained for its sampler",
    )
    how.add_argument(
        "--guide",
        action="append",
        default=[],
        metavar="KIND=WEIGHT",
        help=f"KIND one of {', '.join(weighted_kinds())}; may be repeated, innermost first "
        "(intervals: in params)",
    )
    networks = ", ".join(kind for kind, config in KINDS.items() if config.needs.network)
    how.add_argument("--guide-weights", help=f"{networks}: the guiding denoiser's weights")
    classifiers = ", ".join(kind for kind, config in KINDS.items() if config.needs.classifier)
    how.add_argument(
        "--classifier",
        type=Path,
        help=f"{classifiers}: a classifier's weights, such as "
        "outputs/reference/classifier.safetensors",
    )
    how.add_argument(
        "--batch-size",
        type=int,
        default=256,
        help="images at once; decides no image (default: %(default)s)",
    )
    how.add_argument("--device", help="(default: cuda where there is a GPU, otherwise cpu)")
    return out


def main() -> None:
    args = command_line().parse_args()
    if not (args.out or args.grid or args.npz):
        raise ValueError("say what to write: --grid FILE.png, --out FOLDER or --npz FILE.npz")
    if args.count is not None and args.count < 1:
        raise ValueError(f"--count {args.count}: ask for at least one image")
    check_images("--count", args.count)
    check_images("--batch-size", args.batch_size)
    check_seed("--seed", args.seed)
    # These take seconds to import, which --help and a mistyped command do without.
    import torch

    from models.denoiser import load_denoiser
    from sampling.from_weights import generate_pictures

    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    denoiser = load_denoiser(args.weights, device)
    sampler = chosen_sampler(args)
    seeds = numbers(args.seeds, "--seeds") if args.seeds else list(range(args.count or 64))
    seeds = seeds[: args.count] if args.count else seeds
    names = denoiser.label_names
    labels = chosen_labels(args.labels, len(seeds), denoiser.num_classes, names)
    request = GenerationRequest(
        sampler=sampler,
        seed=args.seed,
        indices=seeds,
        labels=labels,
        batch_size=args.batch_size,
        weights=str(args.weights),
        classifier=None if args.classifier is None else str(args.classifier),
    )
    facts = drawn_with(request)
    check_targets(args, facts)
    with progress("sample", len(seeds)) as bar:
        images = generate_pictures(denoiser, request, bar)
    write(args, images, labels, seeds, names, facts)


def chosen_sampler(args: argparse.Namespace) -> SamplerConfig:
    """The sampler that --sampler names, or the default one, changed by the other options.

    Raises ValueError for an unknown name or value.
    """
    settings: dict[str, Any] = {}
    if args.sampler:
        known = load_params(args.params).sampling
        if args.sampler not in known:
            raise ValueError(f"--sampler {args.sampler}: {args.params} has {', '.join(known)}")
        settings = known[args.sampler].model_dump()
    given = {
        "solver": args.solver,
        "grid": args.grid_name,
        "steps": args.steps,
        "sigma_min": args.sigma_min,
        "sigma_max": args.sigma_max,
        "adapter": args.adapter,
    }
    for key, options in (("solver", "solver_options"), ("grid", "grid_options")):
        if given[key] not in (None, settings.get(key)):
            settings.pop(options, None)  # they are options of another solver or grid
    if args.grid_name not in (None, "explicit"):
        settings.pop("sigmas", None)
    settings |= {key: value for key, value in given.items() if value is not None}
    for key, words in (("solver_options", args.solver_option), ("grid_options", args.grid_option)):
        if words:
            settings[key] = {**settings.get(key, {}), **dict(option(word) for word in words)}
    if args.guide:
        entries = [option(word) for word in args.guide]
        settings["guidance"] = tuple({"kind": kind, "weight": weight} for kind, weight in entries)
    try:
        sampler = SamplerConfig(**settings)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        raise ValueError(f"sampler{'.' + key if key else ''}: {message}") from None
    if not (args.guide and args.guide_weights):
        return sampler
    guidance = tuple(
        entry.with_guiding_weights(args.guide_weights) if entry.needs.network else entry
        for entry in sampler.guidance
    )
    return sampler.model_copy(update={"guidance": guidance})


def option(word: str) -> tuple[str, Any]:
    """("KEY", value) of "KEY=VALUE", the value read as YAML. Raises ValueError."""
    key, sign, value = word.partition("=")
    if not sign or not key or not value:
        raise ValueError(f"{word!r} is not of the form KEY=VALUE")
    return key, read_value(value)


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
    if not num_classes:
        if text not in (None, "-1"):
            raise ValueError(f"--labels {text}: these weights know no classes: leave it away")
        return np.full(count, -1, np.int64)
    labels = list(range(num_classes))
    if text:
        labels = asked_classes(text, names, num_classes, lambda word: numbers(word, "--labels"))
    return np.resize(np.asarray(labels, np.int64), count)


def check_targets(args: argparse.Namespace, facts: dict[str, Any]) -> None:
    """Raise ValueError before anything is drawn where it could not be written.

    facts: what the images will be drawn with; a folder of others would mix two models.
    """
    if args.out:
        check_folder(args.out, facts)
    if args.grid and args.grid.suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"--grid {args.grid} is no name of an image file: name a .png")
    for option, path in (("--grid", args.grid), ("--npz", args.npz)):
        if path and path.is_dir():
            raise ValueError(f"{option} {path} is a folder: name a file")
        if path and not path.parent.is_dir():
            raise ValueError(f"{option} {path}: make the folder {path.parent} first")


def write(
    args: argparse.Namespace,
    images: np.ndarray,
    labels: np.ndarray,
    seeds: list[int],
    names: Sequence[str],
    facts: dict[str, Any],
) -> None:
    """Write the files that the command line asks for, and print where they are.

    names: of the classes, if the weights hold them. facts: what the images were drawn with.
    """
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        for image, seed, label in zip(images, seeds, labels, strict=True):
            name = f"{seed:06d}.png" if label < 0 else f"{seed:06d}-class{label}.png"
            picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
            picture.save(args.out / name, pnginfo=png_text(facts))
        print(f"{len(images)} images in {args.out}/")
    if args.grid:
        sample_grid(images, labels=labels, label_names=names).save(args.grid)
        print(f"{len(images)} images on {args.grid}")
    if args.npz:
        np.savez_compressed(args.npz, images=images, labels=labels, seeds=np.asarray(seeds))
        print(f"arrays images {images.shape}, labels, seeds in {args.npz}")


if __name__ == "__main__":
    run_stage(main)
