"""Are latents worth their autoencoder? Emoji of 64x64 pixels, the same time for each arm.

  python -m studies.emoji.install                 # once
  python -m studies.emoji.latents --seeds 21,22,23
  python -m studies.emoji.latents --list

Arms: a denoiser of pixels; one of the latents of principal components; one of the latents of a
small KL autoencoder, whose training counts. Their lengths are chosen so that each takes about
the same processor time of one thread; the row keeps what it took. Each arm and seed is a row in
--rows; a row that stands is not computed again, and a training that was stopped goes on. A unit
begins no further stage after --minutes of one start. Below the table stand the aims: KID over that
of the pixel arm of the same seed, and PSNR of reconstructions.
"""

import argparse
from pathlib import Path
from typing import Any

from foundation.json_files import read_object
from studies.emoji.aims import KID_RATIO, PSNR, aims_table
from studies.emoji.install import OUT
from studies.emoji.unit import ITEM, TRAINED, Given, unit
from studies.named_arms import named_arms
from studies.staged import OutOfMinutes, StageError, add_minutes
from studies.tables import markdown, rows_by, spread

COMMON: dict[str, Any] = {
    "dataset": {"resolution": 64, "held_out": 0.15},
    "model": {"channels": 32, "channel_mult": [1, 2, 4], "attention_resolutions": [4, 8]},
    "train": {
        "batch_size": 32,
        "optimizer": "muon",
        "lr": 0.1,
        "lr_ramp_kimg": 2,
        "held_out_every_kimg": 20,
    },
    "evaluation": {"extractor": "efficientnet_lite0", "num_images": 512},
}
ARMS: dict[str, dict[str, Any]] = {
    "pixels": {
        "model": {"channels": 16, "channel_mult": [1, 2, 4, 4], "attention_resolutions": [8]},
        "train": {"total_kimg": 24, "lr_decay_kimg": 12},
    },
    "pca": {
        "autoencoder": {"kind": "pca", "factor": 4, "channels": 12},
        "train": {"total_kimg": 72, "lr_decay_kimg": 36},
    },
    "kl": {
        "autoencoder": {
            "kind": "kl",
            "factor": 4,
            "channels": 4,
            "width": 16,
            "total_kimg": 20,
            "lr_decay_kimg": 10,
        },
        "train": {"total_kimg": 55, "lr_decay_kimg": 27},
    },
}
PSNR_METRIC = "reconstruction_psnr"
SHOWN = {
    "kid": ("KID", 4),
    "fd": ("FD", 1),
    "recall": ("recall", 3),
    "coverage": ("coverage", 3),
    PSNR_METRIC: ("PSNR", 1),
    "kid_reconstruction": ("KID of reconstruction", 4),
}


def main(arguments: list[str] | None = None) -> None:
    """Train and judge each unit, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.emoji.latents",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--emoji", type=Path, default=OUT, metavar="FOLDER", help="default: %(default)s")
    add("--arms", default=",".join(ARMS), help="default: %(default)s")
    add("--seeds", default="21,22,23", help="default: %(default)s; 20 is for tuning")
    add("--work", type=Path, default=Path(".runs/studies/latents"), metavar="FOLDER")
    add("--rows", type=Path, default=Path("studies/rows/latents"), metavar="FOLDER")
    add_minutes(parser)
    add("--list", action="store_true", help="print the table of the rows that stand, and stop")
    options = parser.parse_args(arguments)
    names = named_arms(parser, options.arms, ARMS)
    if not options.list:
        pictures = {"dataset": {"path": str(options.emoji.resolve() / "all")}}
        given = Given(
            COMMON | {"dataset": COMMON["dataset"] | pictures["dataset"]},
            options.work,
            options.rows,
            options.minutes,
        )
        try:
            for seed in map(int, options.seeds.split(",")):
                for name in names:
                    unit(given, name, ARMS[name], seed, metrics)
        except OutOfMinutes as stop:
            parser.exit(1, f"{stop}\n")
        except (StageError, OSError, ValueError) as error:
            parser.error(str(error))
    print(table(options.rows))


def metrics(outputs: Path, params: dict) -> dict[str, Any]:
    """{"metrics": {name: {value, floor, ...}}} of the judged item."""
    return {"metrics": read_object(outputs / "evaluate" / ITEM / "metrics.json")["metrics"]}


def table(rows: Path) -> str:
    """Markdown: each arm, mean and deviation over its seeds; then the aims."""
    found = {arm: sets for (arm,), sets in rows_by(rows, "arm").items()}
    if not found:
        return f"no row stands in {rows}\n"
    first = next(iter(found.values()))[0]["metrics"]
    floor = [_floor(first.get(name), digits) for name, (_, digits) in SHOWN.items()]
    lines = [["real images (floor)", "", "", "", *floor]]
    for name in sorted(found, key=list(ARMS).index):
        sets = found[name]
        minutes = [sum(row["processor_seconds"][s] for s in TRAINED) / 60 for row in sets]
        cells = [
            spread([row["metrics"][key]["value"] for row in sets if key in row["metrics"]], digits)
            for key, (_, digits) in SHOWN.items()
        ]
        kimg = f"{sets[0]['kimg']:g}"
        lines.append([name, kimg, str(len(sets)), spread(minutes, 1), *cells])
    head = ["arm", "kimg", "seeds", "minutes", *(title for title, _ in SHOWN.values())]
    return f"{markdown(head, lines)}\n{aims(found)}"


def aims(found: dict[str, list[dict]]) -> str:
    """Markdown: KID over that of the pixel arm of the same seed, and PSNR, beside their aims.

    found: {arm: rows}; a seed without a row of the pixel arm has no KID ratio
    """
    pixels = {row["seed"]: row["metrics"]["kid"]["value"] for row in found.get("pixels", [])}
    reached = []
    for name in sorted(set(found) - {"pixels"}, key=list(ARMS).index):
        sets = [(row["seed"], row["metrics"]) for row in found[name]]
        ratios = [m["kid"]["value"] / pixels[seed] for seed, m in sets if seed in pixels]
        psnr = [m[PSNR_METRIC]["value"] for _, m in sets if PSNR_METRIC in m]
        reached += [(name, KID_RATIO, ratios), (name, PSNR, psnr)]
    return aims_table(reached)


def _floor(metric: dict | None, digits: int) -> str:
    value = (metric or {}).get("floor")
    return "" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
