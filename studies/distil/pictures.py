"""Draws images of the teacher and of its students from the same noise, one row each.

  python -m studies.distil.pictures --teacher WEIGHTS --seed 21 --out docs/images/students.png

Takes the weights of the study's runs from --work, where `python -m studies.distil` left them; arms
whose weights are not there are left out.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from foundation.json_files import read_object
from studies.distil.arms import ARMS, Arm, free_sampler
from studies.distil.inputs import add_teacher

SHOWN = (("regression", 1), ("matching", 1), ("matching_4", 4), ("consistency", 1))
SHOWN += (("consistency", 2), ("consistency", 4), ("no_critic", 1))
SEED = 7


def weights_of(rows: Path, work: Path, arm: str, seed: int) -> Path:
    """The judged weights of an arm's run; raises ValueError if it has no row or they are gone."""
    from models.ema_reconstruction import snapshot_name
    from studies.distil.unit import LENGTH

    for row in map(read_object, sorted(rows.glob(f"{arm}-{seed}-*.json"))):
        if row.get("variant") or row["kimg"] != ARMS[arm].kimg:
            continue
        run = work / "runs" / f"{arm}-{seed}-{row['fingerprint']}" / "snapshots"
        path = run / snapshot_name(row["nimg"], LENGTH)
        if path.is_file():
            return path
    raise ValueError(
        f"{arm}, seed {seed}: its weights are not in {work}: run python -m studies.distil --arms "
        f"{arm} --seeds {seed} with an empty --rows first"
    )


def draw(
    teacher: Path, arms: Sequence[tuple[str, int, Arm, Path]], columns: int, out: Path
) -> None:
    """Write the sheet: the teacher in 35 and in 4 evaluations, then each student."""
    import numpy as np

    from evaluation.sheets.labelled import labelled_sheet
    from models.denoiser import load_denoiser
    from sampling.config import SamplerConfig
    from sampling.from_weights import generate_pictures
    from sampling.request import GenerationRequest

    long = SamplerConfig(solver="heun", grid="karras", steps=18)
    wanted = [("teacher, 35 evaluations", teacher, long)]
    wanted.append(("teacher, 4", teacher, free_sampler(4)))
    wanted += [(f"{name}, {n}", path, arm.sampler(n)) for name, n, arm, path in arms]
    rows = []
    for _, path, sampler in wanted:
        denoiser = load_denoiser(path)
        classes = denoiser.num_classes
        labels = np.arange(columns) % classes if classes else np.full(columns, -1)
        request = GenerationRequest(
            sampler=sampler,
            seed=SEED,
            indices=range(columns),
            labels=labels,
            batch_size=columns,
            weights=str(path),
        )
        rows.append(generate_pictures(denoiser, request))
    names = [name for name, _, _ in wanted]
    sheet = labelled_sheet(np.stack(rows), names, [""] * columns, "the same noise in each column")
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)
    print(f"wrote {out}")


def main(arguments: list[str] | None = None) -> None:
    """Find the weights, draw and save."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.distil.pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_teacher(parser)
    add = parser.add_argument
    add("--seed", type=int, default=21, help="of the students (default: %(default)s)")
    add("--columns", type=int, default=10, help="images of each (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    arms = []
    for name, count in SHOWN:
        try:
            weights = weights_of(options.rows, options.work, name, options.seed)
        except (OSError, ValueError) as error:
            print(f"left out: {error}")
            continue
        arms.append((name, count, ARMS[name], weights))
    if not arms:
        parser.error("there is nothing to draw")
    draw(options.teacher, arms, options.columns, options.out)


if __name__ == "__main__":
    main()
