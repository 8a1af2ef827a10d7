"""Why do generated images have more intrinsic dimensions than real ones?

  python -m studies.dimension WEIGHTS --sampler few8
  python -m studies.dimension WEIGHTS --sampler heun18 --guide EARLIER --series A,B,C
  python -m studies.dimension --list

Three causes are told apart: noise that was left, individual detail exchanged for detail of the same
energy, and a density that was smoothed. E1 noises held-out images and draws back; E2 compares
squared distances; E3 the ratio of dimensions against the number of images and of neighbours; E4
variances along principal axes, and fine detail; E5 guides by an earlier time of the same training
(--guide); E6 follows a training (--series). Each experiment is a row in --rows, which stands: the
same command goes on. --out gets dimension.png.
"""

import argparse
import json
from pathlib import Path

from pipelines.console.command import check_argument
from pipelines.params import load_params
from studies.named_arms import named_arms
from studies.standing_row import standing_row
from studies.tables import rows_by

NAMES = ("E1", "E2", "E3", "E4", "E5", "E6")


def main(arguments: list[str] | None = None) -> None:
    """Run what has no row yet, print the tables, draw the figure."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.dimension",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("weights", type=Path, nargs="?", help="weights file (.safetensors)")
    add("--params", default="params.yaml", help="default: %(default)s")
    add("--sampler", help="a name under `sampling`")
    add("--arms", default=",".join(NAMES), help="experiments; default: %(default)s")
    add("--images", type=int, default=4096, help="of each set (default: %(default)s)")
    add("--guide", type=Path, metavar="FILE", help="weights of an earlier time, for E5")
    add("--series", default="", metavar="FILES", help="weights of a training, for E6")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--reference", type=Path, default=Path("outputs/reference"), metavar="FOLDER")
    add("--rows", type=Path, default=Path("studies/rows/dimension"), metavar="FOLDER")
    add("--out", type=Path, default=Path("reports/studies/dimension"), metavar="FOLDER")
    add("--list", action="store_true", help="print the tables of the rows that stand, and stop")
    options = parser.parse_args(arguments)
    names = named_arms(parser, options.arms, NAMES)
    try:
        if not options.list:
            if options.weights is None or options.sampler is None:
                parser.error("name WEIGHTS and --sampler, or give --list")
            check_argument("--images", options.images, 64, 1_000_000, "features are kept in memory")
            _run(options, names)
        by_question = rows_by(options.rows, "experiment", "sampler")
        rows = [row for found in by_question.values() for row in found]
        from studies.dimension.report import draw, tables

        print(tables(rows) if rows else f"no row stands in {options.rows}")
        if rows:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / "dimension.png").write_bytes(draw(rows))
            print(f"wrote {options.out}/dimension.png")
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _run(options: argparse.Namespace, names: list[str]) -> None:
    params = load_params(options.params)
    if options.sampler not in params.sampling:
        raise ValueError(
            f"--sampler {options.sampler}: params name {', '.join(params.sampling) or 'none'}"
        )
    # They need torch, which --help does without.
    from dataset.store import ImageDataset
    from evaluation.reference import load_reference
    from foundation.atomic_files import write_text
    from foundation.json_hash import json_hash
    from models.weights import file_hash
    from studies.dimension.experiments import EXPERIMENTS, Given

    series = [Path(word) for word in options.series.split(",") if word]
    given = Given(
        options.weights,
        ImageDataset(options.dataset),
        load_reference(options.reference),
        params.sampling[options.sampler].model_copy(update={"adapter": False, "guidance": ()}),
        options.images,
        params.evaluation.k,
        options.guide,
        series,
        lambda text: print(text, flush=True),
    )
    files = [options.weights, *([options.guide] if options.guide else []), *series]
    mark = json_hash(
        [
            [file_hash(file) for file in files],
            given.dataset.content_hash,
            (options.reference / "reference.json").read_text(),
            given.sampler.model_dump(mode="json"),
            [options.images, given.k],
        ]
    )[:16]
    for name in names:
        path = options.rows / f"{name}-{options.sampler}.json"
        if standing_row(path, mark) is not None:
            continue
        found = EXPERIMENTS[name](given)
        row = {
            "experiment": name,
            "sampler": options.sampler,
            "images": len(given.held_out),
            "fingerprint": mark,
            **found,
        }
        write_text(path, json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
