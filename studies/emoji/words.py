"""Does a denoiser understand captions that it never saw? Emoji with skin tones, 32x32 pixels.

  python -m studies.emoji.install                 # once
  python -m studies.emoji.words --seeds 21,22,23
  python -m studies.emoji.words --list

A fifth of the pairs of an emoji and a skin tone is held out: training sees "waving hand" in other
tones, and the tone on other emoji. The captions held out are then drawn. Scorers that no training
and no sampler sees (studies/emoji/scorers.py) say how often the tone and the emoji are those of the
caption, beside what they say of the real pictures. Then each caption is drawn from the noise that
its neighbour had: the picture has to follow the caption asked, not the caption that owned the
noise. Each seed is a row in --rows; a unit begins no further stage after --minutes of one start,
and the same command goes on. Below the table stand the aims: tone, and emoji over that of the real
pictures.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from foundation.json_files import read_object
from studies.emoji.aims import BASE_RATIO, TONE, aims_table
from studies.emoji.install import OUT
from studies.emoji.unit import LENGTH, SAMPLER, Given, unit
from studies.staged import OutOfMinutes, StageError, add_minutes
from studies.tables import markdown, spread

SIDE = 32
COMMON: dict[str, Any] = {
    "dataset": {
        "resolution": SIDE,
        "resize": "area",
        "held_out": 0.05,
        "captions": {"kind": "table", "file": "captions.csv"},
    },
    "model": {
        "channels": 16,
        "channel_mult": [1, 2, 4, 4],
        "attention_resolutions": [8],
        "text": {"kind": "words", "width": 64},
    },
    "evaluation": {"extractor": "efficientnet_lite0", "num_images": 512},
}
ARMS: dict[str, dict[str, Any]] = {
    "words": {
        "train": {
            "batch_size": 32,
            "total_kimg": 160,
            "lr_ramp_kimg": 2,
            "lr_decay_kimg": 60,
            "held_out_every_kimg": 40,
        }
    },
}
GUIDANCE = 2.0
"""Weight of classifier-free guidance; 1: none."""
NOISE_SEED = 20_000
SHOWN = {
    "tone": "tone",
    "base": "emoji",
    "both": "both",
    "tone_real": "tone, real",
    "base_real": "emoji, real",
    "tone_swapped": "swapped: tone asked",
    "tone_owner": "tone of the noise's owner",
    "base_swapped": "swapped: emoji asked",
    "base_owner": "emoji of the noise's owner",
}


def main(arguments: list[str] | None = None) -> None:
    """Train and score each seed, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.emoji.words",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--emoji", type=Path, default=OUT, metavar="FOLDER", help="default: %(default)s")
    add("--seeds", default="21,22,23", help="default: %(default)s; 20 is for tuning")
    add("--work", type=Path, default=Path(".runs/studies/words"), metavar="FOLDER")
    add("--rows", type=Path, default=Path("studies/rows/words"), metavar="FOLDER")
    add_minutes(parser)
    add("--list", action="store_true", help="print the table of the rows that stand, and stop")
    options = parser.parse_args(arguments)
    if not options.list:
        place = {"dataset": COMMON["dataset"] | {"path": str(options.emoji.resolve() / "tones")}}
        given = Given(COMMON | place, options.work, options.rows, options.minutes)

        def finish(outputs: Path, params: dict) -> dict[str, Any]:
            return scored(outputs, options.emoji, params["sampling"][SAMPLER])

        try:
            for seed in map(int, options.seeds.split(",")):
                for name, arm in ARMS.items():
                    unit(given, name, arm, seed, finish, evaluated=False)
        except OutOfMinutes as stop:
            parser.exit(1, f"{stop}\n")
        except (StageError, OSError, ValueError) as error:
            parser.error(str(error))
    print(table(options.rows))


def scored(outputs: Path, emoji: Path, sampler: dict) -> dict[str, Any]:
    """{"scores": {name: share}} of the captions held out; writes a sheet beside the weights."""
    from evaluation.pictures import sample_grid
    from evaluation.reference import load_reference
    from studies.emoji.scorers import BaseScorer, ToneScorer, share_right, shares_swapped

    words = read_object(emoji / "words.json")
    train, held_out = words["train"], words["held_out"]
    seen = pictures([emoji / "tones" / one["tone"] / one["file"] for one in train])
    real = pictures([emoji / "held_out" / one["tone"] / one["file"] for one in held_out])
    texts, tones, bases = ([one[key] for one in held_out] for key in ("text", "tone", "base"))
    extractor = load_reference(outputs / "reference").extractor
    tone_of = ToneScorer(seen, [one["tone"] for one in train])
    base_of = BaseScorer(extractor.features(seen), [one["base"] for one in train])
    weights = outputs / "ema" / f"{LENGTH}.safetensors"
    own = np.arange(len(texts))  # caption i owns the noise of number i
    drawn = draw(weights, texts, own, sampler)
    swapped = draw(weights, texts, np.roll(own, 1), sampler)
    found = {
        name: (tone_of(images), base_of(extractor.features(images)))
        for name, images in (("", drawn), ("_real", real), ("_swapped", swapped))
    }
    scores: dict[str, float] = {}
    for number, (word, wanted) in enumerate((("tone", tones), ("base", bases))):
        for name in ("", "_real"):
            scores[f"{word}{name}"] = share_right(found[name][number], wanted)
        owners = np.roll(wanted, 1).tolist()
        asked_owner = shares_swapped(found["_swapped"][number], wanted, owners)
        scores[f"{word}_swapped"], scores[f"{word}_owner"] = asked_owner
    both = zip(*found[""], strict=True)
    scores["both"] = share_right(
        [f"{t} {b}" for t, b in both], [f"{t} {b}" for t, b in zip(tones, bases, strict=True)]
    )
    sheet = np.stack([real[:16], drawn[:16], swapped[:16]]).reshape(-1, *real.shape[1:])
    sample_grid(sheet).save(outputs / "held_out.png")
    return {"guidance": GUIDANCE, "scores": scores}


def draw(
    weights: Path, texts: Sequence[str], numbers: Sequence[int] | np.ndarray, sampler: dict
) -> np.ndarray:
    """Pictures uint8 [N, H, W, C] for the captions, each from the noise of one of the numbers."""
    from sampling.config import SamplerConfig
    from sampling.from_weights import generate_chunk
    from sampling.request import GenerationRequest

    guidance = ({"kind": "classifier_free", "weight": GUIDANCE},)
    request = GenerationRequest(
        sampler=SamplerConfig(**sampler, guidance=guidance),
        seed=NOISE_SEED,
        indices=[int(number) for number in numbers],
        labels=np.arange(len(texts)),
        batch_size=62,
        weights=str(weights),
        prompts=tuple(texts),
    )
    return generate_chunk(request)


def pictures(files: Sequence[Path]) -> np.ndarray:
    """uint8 [N, SIDE, SIDE, 3], on white, each pixel the mean of those that it covers."""
    out = []
    for file in files:
        with Image.open(file) as image:
            colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, (255, 255, 255, 255))
        white.alpha_composite(colour)
        out.append(np.asarray(white.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)))
    return np.stack(out)


def table(rows: Path) -> str:
    """Markdown: mean and deviation of each score over the seeds; then the aims."""
    found = [read_object(file) for file in sorted(rows.glob("*.json"))]
    if not found:
        return f"no row stands in {rows}\n"
    lines, reached = [], []
    for name in sorted({row["arm"] for row in found}):
        sets = [row for row in found if row["arm"] == name]
        cells = [spread([row["scores"][key] for row in sets], 3) for key in SHOWN]
        lines.append([name, f"{sets[0]['kimg']:g}", str(len(sets)), *cells])
        scores = [row["scores"] for row in sets]
        reached.append((name, TONE, [one["tone"] for one in scores]))
        reached.append((name, BASE_RATIO, [one["base"] / one["base_real"] for one in scores]))
    head = ["arm", "kimg", "seeds", *SHOWN.values()]
    return f"{markdown(head, lines)}\n{aims_table(reached)}"


if __name__ == "__main__":
    main()
