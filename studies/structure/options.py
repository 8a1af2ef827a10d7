"""Command line of the structure study: its arms, and its options with their checks."""

import argparse
import math
import re
from pathlib import Path

from foundation.number_names import number_name
from pipelines.console.command import check_argument, check_images
from pipelines.params import check_params
from pipelines.settings.yaml_file import read_value, read_yaml

CONTROL = "control"
ARMS: dict[str, dict] = {
    CONTROL: {"structure.kind": "none"},
    "graph": {"structure.kind": "graph"},
    "per_sample": {"structure.kind": "per_sample"},
    "affinity": {"structure.kind": "affinity", "structure.fakes": "onestep"},
    **{kind: {"structure.kind": kind} for kind in ("tangent", "bank", "two_bank")},
    **{kind: {"structure.kind": kind} for kind in ("law", "kernel", "fd")},
    "onestep": {"structure.kind": "graph", "structure.fakes": "onestep"},
}


def parse(arguments: list[str] | None, description: str | None) -> argparse.Namespace:
    """Parse and check the command line; a mistake ends the program with one line."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.structure",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--params", default="params.yaml", help="settings of data, model, game and samplers")
    add(
        "--init",
        type=Path,
        metavar="FILE",
        help="weights to start from, at a constant learning rate (default: from scratch)",
    )
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--reference", type=Path, default=Path("outputs/reference"), metavar="FOLDER")
    add("--arms", default="graph", help=f"of {', '.join(ARMS)} (the control is always there)")
    add(
        "--arm",
        action="append",
        default=[],
        metavar="NAME:KEY=VALUE,...",
        help="an arm of your own, e.g. hard:structure.gamma=0.1; may be repeated",
    )
    add("--seeds", default="0,1,2,3,4", help="default: %(default)s")
    add(
        "--kimg",
        type=float,
        help="length of each arm (default: 64 with --init, else train.total_kimg of params)",
    )
    add(
        "--control-kimg",
        type=float,
        help="length of the control (default: a quarter longer; the report names that of equal "
        "wall-clock: the same command with it trains the control anew and keeps the rest)",
    )
    add("--snapshot-kimg", type=float, help="distance of snapshots (default: a quarter of --kimg)")
    add(
        "--at",
        default="",
        metavar="KIMG,...",
        help="also judge at these times, and draw what the deployed sampler gains against what the "
        "long one loses (tradeoff.png)",
    )
    add(
        "--lr",
        type=float,
        help="learning rate (default: 0.005 with --init, else train.lr of params)",
    )
    add("--length", type=float, default=0.1, help="EMA length judged, one of ema.tracked")
    add(
        "--deployed",
        default="fast8",
        help="sampler names under `sampling`; the game is played on the first (default: "
        "%(default)s)",
    )
    add("--every", type=int, help="play at every n-th step (default: structure.every of params)")
    add("--long", default="heun18", help="the sampler of full length (default: %(default)s)")
    add("--images", type=int, default=2048, help="judged per question (default: %(default)s)")
    add("--draws", type=int, default=10, help="floor draws (default: %(default)s)")
    add("--jobs", type=int, default=2, help="processes at once (default: %(default)s)")
    add("--out", type=Path, default=Path("reports/studies/structure"), metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        check_images("--images", options.images)
        check_argument("--draws", options.draws, 2, 10_000, "all is measured anew in each draw")
        check_argument("--jobs", options.jobs, 1, 4096, "each is a process")
        for kimg in (options.kimg, options.control_kimg, options.snapshot_kimg):
            check_argument("a number of kimg", kimg, 0, 10**9, "no training sees 10^12 images")
        options.seeds = [int(part) for part in options.seeds.split(",")]
        options.at = [float(part) for part in options.at.split(",") if part]
        options.arm = [_own_arm(text) for text in options.arm]
        params = check_params(read_yaml(options.params))
    except ValueError as error:
        parser.error(str(error))
    options.arms = [name for name in options.arms.split(",") if name]
    options.deployed = options.deployed.split(",")
    if options.init and options.lr is None:
        options.lr = 0.005
    options.kimg = options.kimg or (64.0 if options.init else params.train.total_kimg)
    options.control_kimg = options.control_kimg or 1.25 * options.kimg
    options.snapshot_kimg = options.snapshot_kimg or options.kimg / 4
    if options.control_kimg < options.kimg:
        parser.error(
            f"--control-kimg {options.control_kimg:g} is shorter than --kimg {options.kimg:g}"
        )
    start = params.structure.start_kimg
    if not options.init and options.kimg <= start:
        parser.error(
            f"--kimg {options.kimg:g}: from scratch the game begins after "
            f"structure.start_kimg, {start:g}: give more"
        )
    for kimg in options.at:
        if not 0 < kimg <= options.kimg:
            parser.error(f"--at {kimg:g}: times are above 0 and up to --kimg, {options.kimg:g}")
    times = [("--kimg", options.kimg), ("--control-kimg", options.control_kimg)]
    for flag, kimg in (*times, *(("--at", kimg) for kimg in options.at)):
        steps = kimg / options.snapshot_kimg
        if abs(steps - round(steps)) > 1e-6:
            parser.error(
                f"{flag} {kimg:g} is not a multiple of the distance of snapshots, "
                f"{options.snapshot_kimg:g} kimg: try {options.snapshot_kimg * math.ceil(steps):g}"
            )
    for name in options.arms:
        if name not in ARMS:
            parser.error(f"--arms {name}: known are {', '.join(ARMS)}")
    for name in (*options.deployed, options.long):
        if name not in params.sampling:
            parser.error(f"sampler {name}: params name {', '.join(params.sampling)}")
    if options.length not in params.ema.tracked:
        parser.error(f"--length {number_name(options.length)}: tracked are {params.ema.tracked}")
    for path in (options.init, options.dataset / "dataset.json", options.reference):
        if path and not path.exists():
            parser.error(f"{path} does not exist: run dvc repro first")
    return options


def _own_arm(text: str) -> tuple[str, dict]:
    name, _, pairs = text.partition(":")
    values = {}
    for pair in re.split(r",(?=[\w.]+=)", pairs):  # not within a list
        key, equals, value = pair.partition("=")
        if not (name and equals):
            raise ValueError(f"--arm {text}: write NAME:KEY=VALUE,KEY=VALUE")
        if name in (CONTROL, "start"):
            raise ValueError(f"--arm {text}: {name} is always there: choose another name")
        values[key] = read_value(value)
    return name, values
