"""Which solver and time grid give good images in few evaluations?

Every solver runs on every grid at every number of denoiser evaluations (NFE) from the same noise.
The study measures the distance (RMSE) to a 600-step run, on exact mixtures in 2 and 64 dimensions
and on trained models; for the latter also KID and FD, their floors and those of a 50-step run.

  python -m studies.sampling
  python -m studies.sampling --model outputs/ema/0.1.safetensors --reference outputs/reference
  python -m studies.sampling --model A --reference REF_A --model B --reference REF_B --names a,b
  python -m studies.sampling --no-mixtures --model big.safetensors --nfe 5,8,12 --images 128

Writes sampling.csv (every run), sampling.md (tables with the winners) and sampling.png.
"""

import argparse
from pathlib import Path

from pipelines.console.command import check_argument, check_images, check_seed
from studies.sampling.report import PARTS, write_report

NFE = (5, 6, 7, 8, 10, 12, 20, 35, 63)


def main(arguments: list[str] | None = None) -> None:
    """Run the study and write its three files."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.sampling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="weights of a trained model (.safetensors); may be repeated",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="outputs/reference of its data set, for KID and FD; once, or once for each --model",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="outputs/dataset of a model: its labels are drawn from there; once, or once for each "
        "--model (default: the folder dataset beside its reference)",
    )
    parser.add_argument("--names", metavar="A,B", help="of the models, for the tables")
    parser.add_argument(
        "--inception-path", metavar="FILE", help="its weights, where a reference is Inception's"
    )
    parser.add_argument("--no-mixtures", action="store_true", help="trained models only")
    parser.add_argument("--nfe", default=",".join(map(str, NFE)), help="default: %(default)s")
    parser.add_argument("--images", type=int, default=256, help="per run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise of trained models")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/studies"),
        metavar="FOLDER",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--grid-cache",
        type=Path,
        default=Path(".runs/grids"),
        metavar="FOLDER",
        help="where optimized grids are kept (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        nfes = tuple(sorted({int(part) for part in options.nfe.split(",")}))
    except ValueError:
        parser.error(f"--nfe {options.nfe}: give whole numbers, separated by commas")
    try:
        check_images("--images", options.images)
        check_seed("--seed", options.seed)
        check_argument("--nfe", nfes[-1], 2, 1000, "optimized grids are searched for all of them")
    except ValueError as error:
        parser.error(str(error))
    if nfes[0] < 2 or options.images < 2 * PARTS:
        parser.error(f"--nfe starts at 2 and --images at {2 * PARTS}")
    if not options.model and options.no_mixtures:
        parser.error("nothing to study: give --model FILE or leave out --no-mixtures")
    count = len(options.model)
    references, datasets = (
        (given * count if len(given) == 1 else given) or [None] * count
        for given in (options.reference, options.dataset)
    )
    names = options.names.split(",") if options.names else [None] * count
    if not len(references) == len(datasets) == len(names) == count:
        parser.error(
            "give --reference and --dataset once or once for each --model, and a name for each"
        )
    # These take seconds to import, which --help and a mistyped command do without.
    import pandas as pd

    from studies.sampling.runs import measure
    from studies.sampling.subjects import mixtures, trained

    subjects = [] if options.no_mixtures else list(mixtures(options.images))
    try:
        subjects += [
            trained(
                path, reference, options.images, options.seed, name, options.inception_path, dataset
            )
            for path, reference, name, dataset in zip(
                options.model, references, names, datasets, strict=True
            )
        ]
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    table = pd.concat(
        [measure(subject, nfes, options.grid_cache) for subject in subjects], ignore_index=True
    )
    table.to_csv(options.out / "sampling.csv", index=False, float_format="%.6g")
    write_report(table, options.out, options.grid_cache)
    print((options.out / "sampling.md").read_text())


if __name__ == "__main__":
    main()
