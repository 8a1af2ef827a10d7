"""Write weights of a finished run as one folder to share: weights, model card, picture.

examples:
  python -m pipelines.export --out shared/digits --licence cc-by-4.0
  python -m pipelines.export --out shared/digits --length 0.1 --sampler heun18 \\
      --data "scikit-learn's handwritten digits"
  python -m pipelines.export --out shared/quick --student quick

Without --length and --sampler it is the evaluated item of lowest KID. The folder is loaded by its
name: sadm.load_denoiser(FOLDER), python -m pipelines.sample FOLDER, train.init_from: FOLDER, and
diffusers' DiffusionPipeline.from_pretrained(FOLDER, trust_remote_code=True).
"""

import argparse
from pathlib import Path

from models.weights import file_hash, load_description
from pipelines.console.command import run_stage
from pipelines.params import load_params
from pipelines.reporting.stage_outputs import Item, ResultsError, read_json
from pipelines.settings.yaml_file import DEFAULT_PATH
from pipelines.sharing.companions import card_lines, companions_of
from pipelines.sharing.diffusers_files import diffusers_files
from pipelines.sharing.folder import CARD, PICTURE, check_new, size_of, write_folder
from pipelines.sharing.model_card import UNFILLED, CardFacts, model_card
from pipelines.sharing.source import source_of
from pipelines.workspace.paths import DATASET
from sampling.config import SamplerConfig
from sampling.stored_sampler import sampler_settings


def command_line() -> argparse.ArgumentParser:
    head, _, rest = (__doc__ or "").partition("\n\n")
    out = argparse.ArgumentParser(
        description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="is made")
    out.add_argument(
        "--student", metavar="NAME", help="share this student of `distil` in place of the denoiser"
    )
    out.add_argument("--length", type=float, help="an EMA length, such as 0.1")
    out.add_argument(
        "--sampler", help="a name of `samplers`, or of the student's: whose images the card judges"
    )
    out.add_argument(
        "--licence",
        help="of the weights: a name such as cc-by-4.0, or a sentence. None is assumed: without "
        "it the card has a line for you to fill in",
    )
    out.add_argument(
        "--data", help="a sentence on the images: what they show, their source and terms"
    )
    out.add_argument("--title", help="of the card (default: the folder's name)")
    out.add_argument("--params", default=DEFAULT_PATH, help="(default: %(default)s)")
    return out


def main() -> None:
    args = command_line().parse_args()
    check_new(args.out)
    params = load_params(args.params)
    source = source_of(params, args.student)
    by, item = source.chosen(args.length, args.sampler)
    sampler = params.sampling[item.sampler]
    check_alone(sampler, item.sampler)
    weights, judged = source.weights(item.ema_length), source.judged(item.ema_length, item.sampler)
    check_judged(weights, item, judged)
    description, companions = load_description(weights), companions_of(weights)
    card = model_card(
        CardFacts(
            title=args.title or args.out.resolve().name,
            item=item,
            description=description,
            companions=card_lines(description, companions),
            dataset=read_json(DATASET / "dataset.json", "prepare"),
            train=read_json(source.training / "train.json", "distil" if args.student else "train"),
            sampler=sampler_settings(sampler),
            licence=args.licence,
            data=args.data,
        )
    )
    picture = judged / PICTURE
    if not picture.is_file():
        stage = "evaluate_students" if args.student else "evaluate"
        raise ResultsError(f"{picture} is missing: run `dvc repro {stage}` first")
    write_folder(args.out, weights, companions, picture, card, diffusers_files(sampler))
    what = f"student {args.student}, " if args.student else ""
    print(f"export: {what}EMA length {item.ema_length:g}, judged with {item.sampler}{by}")
    print(f"{args.out}/ ({size_of(args.out)}), with the model card {args.out / CARD}")
    for line in (line for line in card.splitlines() if UNFILLED in line):
        print(f"still open in the card: {line.strip('*').partition('.**')[0]}")


def check_alone(sampler: SamplerConfig, name: str) -> None:
    """Raise ValueError where the sampler needs a network that the folder would not hold."""
    for entry in sampler.guidance:
        if entry.needs.helper:
            raise ValueError(
                f"sampler {name} is guided by another network ({entry.kind}), which one file of "
                "weights does not hold: name another by --sampler"
            )


def check_judged(weights: Path, item: Item, judged: Path) -> None:
    """Raise ResultsError where the item's metrics are of other weights than lie there now."""
    load_description(weights)  # names a missing file
    if item.weights_sha256 not in (None, file_hash(weights)):
        raise ResultsError(f"{judged} judges other weights than {weights}: run `dvc repro` first")


if __name__ == "__main__":
    run_stage(main)
