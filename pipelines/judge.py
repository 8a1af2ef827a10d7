"""Judge a folder of images: against a folder of real ones, or against a stage's reference.

examples:
  python -m pipelines.judge samples/ photos/
  python -m pipelines.judge samples.zip photos/ --extractor inception --inception weights/
  python -m pipelines.judge samples/ outputs/reference --json judged.json

Beside each metric stands its floor: the same metric between as many real images and other real
ones.
Images are PNG, JPEG or whatever else Pillow reads, in sub-folders too. Needs neither DVC nor Ray.
"""

import argparse
import json
from pathlib import Path

from evaluation.config import EvaluationConfig
from evaluation.metric_table import BETTER_WORDS, METRICS
from foundation.atomic_files import write_text
from foundation.counted import counted
from pipelines.console.command import run_stage
from pipelines.console.progress import phases
from pipelines.reporting.html import with_deviation
from pipelines.stages.whole_folders import check_whole

FULL = "FD, all images"
EXTRACTORS = ("efficientnet_lite0", "inception")


def command_line() -> argparse.ArgumentParser:
    head, _, rest = (__doc__ or "").partition("\n\n")
    defaults = EvaluationConfig()
    out = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("generated", type=Path, help="folder or zip of the images to judge")
    out.add_argument(
        "real", type=Path, help="folder or zip of real images, or a folder with reference.json"
    )
    out.add_argument(
        "--extractor",
        choices=EXTRACTORS,
        default=EXTRACTORS[0],
        help="network whose features are compared (default: %(default)s; a reference has its own)",
    )
    out.add_argument(
        "--inception", type=Path, metavar="FILE", help="inception-2015-12-05.pt, or its folder"
    )
    out.add_argument("--k", type=int, default=defaults.k, help="neighbours (default: %(default)s)")
    out.add_argument(
        "--draws",
        type=int,
        default=defaults.floor_draws,
        help="random draws over which metrics are averaged (default: %(default)s)",
    )
    out.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    out.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    return out


def main() -> None:
    args = command_line().parse_args()
    if args.json is not None and args.json.is_dir():
        raise ValueError(f"--json {args.json} is a folder: name a file")
    inception = None if args.inception is None else str(args.inception)
    config = EvaluationConfig(k=args.k, floor_draws=args.draws, inception_path=inception)
    check_whole(args.real)
    # These bring torch, which --help does without.
    from evaluation.folders.judge_folders import judge_folders
    from models.extractors.base import ExtractorError

    try:
        with phases("judge") as report:
            result = judge_folders(
                args.generated,
                args.real,
                extractor=args.extractor,
                config=config,
                seed=args.seed,
                progress=report,
            )
    except ExtractorError as error:
        text = str(error).replace("evaluation.inception_path", "--inception")
        raise ValueError(text.replace("set --inception to", "name by --inception")) from None
    show(result)
    if args.json is not None:
        write_text(args.json, json.dumps(result, indent=1) + "\n")


def show(result: dict) -> None:
    """Print the table, and what one must know beside it."""
    from rich.table import Table

    from pipelines.console.terminal import terminal

    count, n = result["num_generated"], result["n"]
    table = Table(title=f"{counted(count, 'image')}; n = {n:,} on either side in each draw")
    for heading in ("metric", "value", "real against real", "better"):
        table.add_column(heading)
    for name, entry in result["metrics"].items():
        row = METRICS.get(name)
        title = row.title if row else FULL
        table.add_row(
            title.replace("FD", result["metric_name"], 1) if name.startswith("fd") else title,
            _number(entry["value"], entry.get("std")),
            _number(entry.get("floor"), entry.get("floor_std")),
            BETTER_WORDS[row.better if row else None],
        )
    terminal().print(table)
    for note in result["notes"]:
        print(f"note: {note}")
    for path, files in result["skipped"].items():
        if files:
            first = f"{files[0]['file']}: {files[0]['reason']}"
            print(f"{path}: {counted(len(files), 'file')} could not be read, the first {first}")


def _number(value: float | None, deviation: float | None = None) -> str:
    return "" if value is None else with_deviation(value, deviation)


if __name__ == "__main__":
    run_stage(main)
