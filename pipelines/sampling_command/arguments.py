"""The options of python -m pipelines.sample."""

import argparse
from pathlib import Path

from pipelines.sampling_command.bands import add_band_options
from pipelines.sampling_command.targets import ANIMATED, PICTURES
from pipelines.settings.yaml_file import DEFAULT_PATH
from sampling.editing.edit import RESAMPLE
from sampling.grids.table import GRIDS
from sampling.guidance.table import KINDS, weighted_kinds
from sampling.solvers.table import SOLVERS


def command_line(text: str) -> argparse.ArgumentParser:
    """The parser; `text` is what the command does, and after an empty line its examples."""
    head, _, examples = text.partition("\n\n")
    out = argparse.ArgumentParser(
        prog="python -m pipelines.sample",
        description=head,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    out.add_argument(
        "weights",
        type=Path,
        help="a .safetensors file with its .json beside it, or a folder that python -m "
        "pipelines.export wrote; with --lengths, a folder of EMA lengths such as outputs/ema",
    )
    _which(out.add_argument_group("which images"))
    _edit(
        out.add_argument_group(
            "an image that is edited, in place of drawing from noise alone (docs/steering.md); "
            "--count says how many results (default: 8)"
        )
    )
    _what(out.add_argument_group("pictures of how images come about, in place of single images"))
    _where(out.add_argument_group("what to write (at least one)"))
    _how(
        out.add_argument_group(
            "sampler (default: that of an exported folder or of a student; else Heun on the karras "
            "grid, 18 steps)"
        )
    )
    _guidance(out.add_argument_group("guidance"))
    run = out.add_argument_group("how to run")
    run.add_argument(
        "--batch-size",
        type=int,
        default=256,
        help="images drawn at once, as memory allows; the images are the same with any number, up "
        "to rounding (default: %(default)s)",
    )
    run.add_argument("--device", help="(default: cuda where there is a GPU, otherwise cpu)")
    add_band_options(out.add_argument_group("large images, over several workers"))
    return out


def _which(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--count", type=int, help="draw images 0 to COUNT - 1 (default: 64)")
    group.add_argument(
        "--seeds",
        help="in place of --count: numbers of the images, such as 0-63 or 1,5,9; an image depends "
        "on its number, --seed and its label alone",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the whole set: another one gives all numbers other images (default: 0)",
    )
    group.add_argument(
        "--labels",
        help="classes by number or name, given to the images in turn, such as 3 or 0-9 or cat,dog "
        "(default: all classes in turn); -1: unconditional; name:3 or number:3 where a class is "
        "named by another one's number. The JSON beside the weights lists the names",
    )
    group.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="TEXT",
        help="in place of --labels, for weights that read text (model.text): what the image shows, "
        "in words; may be repeated, and the images take the prompts in turn",
    )


def _edit(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--image", type=Path, metavar="FILE", help="a picture of the size that the weights draw"
    )
    group.add_argument(
        "--mask",
        type=Path,
        metavar="FILE",
        help="a picture of that size: what is white is drawn anew, what is black stays as it is, "
        "bit for bit (grey from 128 of 255 on is white)",
    )
    group.add_argument(
        "--strength",
        type=float,
        help="0 to 1, the share of the sampler's last steps that are run: the image gets noise of "
        "the level where they begin and is denoised; 0 returns it, 1 forgets it (default with "
        "--mask: 1); with --mask only what is white changes",
    )
    group.add_argument(
        "--resample",
        type=int,
        metavar="N",
        help=f"with --mask: run each step N times, with its noise added back in between, so that "
        f"what is drawn fits what is known; it costs N times as much (default: {RESAMPLE})",
    )


def _what(group: argparse._ArgumentGroup) -> None:
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--trajectory",
        action="store_true",
        help="the noisy images and the denoised predictions over the steps, sigma above each "
        "column (default: 3 images)",
    )
    which.add_argument(
        "--interpolate",
        nargs=2,
        type=int,
        metavar=("A", "B"),
        help="images between numbers A and B, a row for each of --labels (default: at most 8 "
        "classes): spherical interpolation of their noise; needs a sampler that adds no noise on "
        "its way",
    )
    which.add_argument(
        "--lengths",
        action="store_true",
        help="a row for each image, a column for each EMA length in the folder of the weights "
        "(default: 8 images)",
    )
    group.add_argument(
        "--frames", type=int, default=9, help="images from A to B (default: %(default)s)"
    )
    group.add_argument(
        "--columns",
        type=int,
        default=10,
        help="at most so many noise levels of the trajectory are shown (default: %(default)s)",
    )


def _where(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--grid", type=Path, metavar="FILE", help=f"one sheet ({', '.join(PICTURES)})"
    )
    group.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="one PNG an image; a folder that holds images of other weights, sampler or --seed is "
        "refused",
    )
    group.add_argument(
        "--npz",
        type=Path,
        metavar="FILE",
        help="arrays: images uint8 [N, H, W, C], labels, seeds (the numbers of the images); of a "
        "picture above, images [rows, columns, H, W, C] and what stands beside them",
    )
    group.add_argument(
        "--animation",
        type=Path,
        metavar="FILE",
        help=f"with --interpolate: from A to B and back ({', '.join(ANIMATED)})",
    )


def _how(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sampler",
        metavar="NAME",
        help="begin with this one of `sampling` in the params file, and change what is given below",
    )
    group.add_argument(
        "--params", default=DEFAULT_PATH, help="the params file of --sampler (default: %(default)s)"
    )
    group.add_argument("--solver", help=", ".join(SOLVERS))
    grids = ", ".join(name for name in GRIDS if name != "explicit")
    group.add_argument("--grid-name", metavar="GRID", help=f"time grid: {grids}")
    group.add_argument("--steps", type=int, help="of the time grid; 1: from sigma_max to 0 at once")
    group.add_argument("--sigma-min", type=float, help="noise level of the last step but the zero")
    group.add_argument("--sigma-max", type=float, help="noise level of the start")
    group.add_argument(
        "--solver-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="such as order=3 for unipc or eta=1 for ddim (docs/sampling.md lists them); may be "
        "repeated",
    )
    group.add_argument(
        "--grid-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="such as rho=7 for karras; may be repeated",
    )
    group.add_argument(
        "--adapter",
        action=argparse.BooleanOptionalAction,
        help="switch on the adapter that the structure game trained for its sampler "
        "(model.adapter_rank)",
    )


def _guidance(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--guide",
        action="append",
        default=[],
        metavar="KIND=WEIGHT",
        help=f"KIND one of {', '.join(weighted_kinds())}; may be repeated, innermost first "
        "(intervals: in the params file)",
    )
    networks = ", ".join(kind for kind, config in KINDS.items() if config.needs.network)
    group.add_argument(
        "--guide-weights",
        metavar="WEIGHTS",
        help=f"for {networks}: the guiding denoiser, such as another EMA length; a file or an "
        "exported folder",
    )
    classifiers = ", ".join(kind for kind, config in KINDS.items() if config.needs.classifier)
    group.add_argument(
        "--classifier",
        type=Path,
        metavar="FILE",
        help=f"for {classifiers}: weights of the classifier whose log-probability of the label is "
        "raised, such as outputs/reference/classifier.safetensors, which the stage reference "
        "trains on your data where it has labels. The same network measures conditional accuracy "
        "(and FD where evaluation.extractor is classifier), so do not judge guided images by these",
    )
