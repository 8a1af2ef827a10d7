"""What do displaced bands cost in quality?

  python -m studies.bands --weights outputs/ema/0.1.safetensors --params params.yaml
  python -m studies.bands --list

Draws the same images whole and in displaced bands, at several numbers of bands, of fresh
evaluations (warm-up) and of evaluations, and judges all of them. Each finished unit is a row in
--rows; a row that stands is not computed again. Prints the table.
"""

import argparse
import json
from pathlib import Path

from pipelines.console.command import check_images

COUNTS, WARM_UPS, EVALUATIONS, SEEDS = "2,4,8", "0,1,2,4", "8,18,35", "21,22,23"


def main(arguments: list[str] | None = None) -> None:
    """Draw and judge each unit, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.bands",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", type=Path, help="the denoiser (.safetensors)")
    add("--params", default="params.yaml", help="for how images are judged (default: %(default)s)")
    add("--dataset", type=Path, default=Path("outputs/dataset"), metavar="FOLDER")
    add("--reference", type=Path, default=Path("outputs/reference"), metavar="FOLDER")
    add("--images", type=int, default=2048, help="judged of each unit (default: %(default)s)")
    add("--rows", type=Path, default=Path("studies/rows/bands"), metavar="FOLDER")
    add("--work", type=Path, default=Path(".runs/studies/bands"), metavar="FOLDER")
    add("--counts", default=COUNTS, help="of bands (default: %(default)s)")
    add("--warm-ups", default=WARM_UPS, help="(default: %(default)s)")
    add("--evaluations", default=EVALUATIONS, help="of 8, 18 and 35 (default: %(default)s)")
    add("--seeds", default=SEEDS, help="of the images (default: %(default)s)")
    add("--list", action="store_true", help="print the table of the rows that stand, and stop")
    options = parser.parse_args(arguments)
    from studies.bands.report import table

    if not options.list:
        try:
            run(options)
        except (ValueError, OSError) as error:
            parser.error(str(error))
    print(table(options.rows))


def run(options: argparse.Namespace) -> None:
    """All units that have no row yet. Raises ValueError for what cannot be drawn."""
    if options.weights is None:
        raise ValueError("--weights: name the denoiser's file")
    check_images("--images", options.images)
    from models.config import ModelConfig
    from models.weights import load_description
    from pipelines.params import load_params
    from sampling.band_plan import check_bands
    from studies.bands.unit import SAMPLERS, Given, Unit, run_unit

    counts, warm_ups, evaluations, seeds = (
        _numbers(option, words)
        for option, words in (
            ("--counts", options.counts),
            ("--warm-ups", options.warm_ups),
            ("--evaluations", options.evaluations),
            ("--seeds", options.seeds),
        )
    )
    about = load_description(options.weights)
    config = ModelConfig.model_validate_json(json.dumps(about["config"]))
    for count in counts:
        check_bands(count, about["image_shape"][1], config)
    unknown = sorted(set(evaluations) - set(SAMPLERS))
    if unknown:
        raise ValueError(f"--evaluations {unknown[0]}: there are {', '.join(map(str, SAMPLERS))}")
    given = Given(
        load_params(options.params),
        options.weights,
        options.dataset,
        options.reference,
        options.rows,
        options.work,
        options.images,
    )
    for seed in seeds:
        for number in evaluations:
            run_unit(given, Unit(number, seed))
            for count in counts:
                for warm_up in warm_ups:
                    run_unit(given, Unit(number, seed, count, warm_up))


def _numbers(option: str, words: str) -> list[int]:
    """The numbers of "A,B", each at least 0; raises ValueError for others."""
    try:
        found = [int(part) for part in words.split(",")]
    except ValueError:
        raise ValueError(f"{option} {words}: give numbers with commas between them") from None
    if min(found) < 0:
        raise ValueError(f"{option} {words}: each is at least 0")
    return found


if __name__ == "__main__":
    main()
