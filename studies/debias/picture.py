"""Puts the images that arms of the study have drawn with one seed beside each other.

python -m studies.debias.picture --seed 21 --out docs/images/steering.png
"""

import argparse
from pathlib import Path

NAMES = ("unguided", "marginal", "resampled", "conditional")
GAP, LINE = 16, 24
"""Pixels between two sheets, and of the line of words above them."""


def main(arguments: list[str] | None = None) -> None:
    """Read the sheets that the study left in --work, write one picture."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.debias.picture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--arms", default=",".join(NAMES), help="default: %(default)s")
    add("--data", default="sneaker90_ankle_boot10", help="as in the rows (default: %(default)s)")
    add("--seed", type=int, default=21, help="default: %(default)s")
    add("--work", type=Path, default=Path(".runs/studies/debias"), metavar="FOLDER")
    add("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    from studies.debias.arms import ARMS, row_name
    from studies.named_arms import named_arms

    names = named_arms(parser, options.arms, ARMS)
    files = [
        options.work / "pictures" / f"{row_name(options.data, name, ARMS[name], options.seed)}.png"
        for name in names
    ]
    for file in files:
        if not file.is_file():
            parser.error(f"{file} does not exist: python -m studies.debias draws it")
    write(names, files, options.out)
    print(f"wrote {options.out}")


def write(names: list[str], files: list[Path], out: Path) -> None:
    """One row of sheets, each below its name."""
    from PIL import Image, ImageDraw, ImageFont

    sheets = [Image.open(file).convert("RGB") for file in files]
    width = sum(sheet.width for sheet in sheets) + GAP * (len(sheets) - 1)
    picture = Image.new("RGB", (width, max(sheet.height for sheet in sheets) + LINE), "white")
    words, left = ImageDraw.Draw(picture), 0
    for name, sheet in zip(names, sheets, strict=True):
        words.text((left, 4), name, fill="black", font=ImageFont.load_default(14))
        picture.paste(sheet, (left, LINE))
        left += sheet.width + GAP
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(out)


if __name__ == "__main__":
    main()
