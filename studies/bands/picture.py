"""Draws the same images whole and in displaced bands, a row each, with their distance.

python -m studies.bands.picture --weights WEIGHTS --out docs/images/bands.png
"""

import argparse
from pathlib import Path

ROWS = ((1, 0), (2, 0), (2, 1), (4, 0), (4, 1), (4, 4))
"""(bands, warm-up) of each row; one band is the whole image."""
SEED = 7


def main(arguments: list[str] | None = None) -> None:
    """Draw the rows and save them; the images must allow four bands."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.bands.picture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", type=Path, required=True, help="the denoiser (.safetensors)")
    add("--evaluations", type=int, default=8, choices=(8, 18, 35), help="default: %(default)s")
    add("--columns", type=int, default=10, help="images of each (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        draw(options.weights, options.evaluations, options.columns, options.out)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def draw(weights: Path, evaluations: int, columns: int, out: Path) -> None:
    """Write the sheet."""
    import numpy as np

    from evaluation.sheets.labelled import labelled_sheet
    from models.denoiser import load_denoiser
    from sampling.from_weights import generate_pictures
    from sampling.request import GenerationRequest
    from studies.bands.unit import Unit, rms

    denoiser = load_denoiser(weights)
    classes = denoiser.num_classes
    labels = np.arange(columns) % classes if classes else np.full(columns, -1)
    rows, names = [], []
    for count, warm_up in ROWS:
        request = GenerationRequest(
            sampler=Unit(evaluations, SEED, count, warm_up).sampler(),
            seed=SEED,
            indices=range(columns),
            labels=labels,
            batch_size=columns,
            weights=str(weights),
        )
        rows.append(generate_pictures(denoiser, request))
        bands = f"{count} bands, warm-up {warm_up}, RMS {rms(rows[-1], rows[0]):.1f}"
        names.append(bands if count > 1 else "whole")
        print(names[-1], flush=True)
    title = f"the same noise in each column, {evaluations} evaluations"
    sheet = labelled_sheet(np.stack(rows), names, [""] * columns, title)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
