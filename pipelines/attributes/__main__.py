"""Train a predictor of an attribute for one denoiser, from a few labelled training images.

  python -m pipelines.attributes outputs/ema/0.1.safetensors --values "Sneaker,Ankle boot"

The attribute's values are classes of the data set; the images are taken at random from the training
images of these classes, so that their shares are those of the data. The predictor reads the
denoiser's hidden state at every noise level. Guidance `marginal` and `distribution` draw the values
with other shares: name the file as `predictor` in params (docs/steering.md). For `dvc repro`, name
the attribute in params instead (section `attributes`), and guidance by that name.
"""

from pathlib import Path

from pipelines.console.command import check_argument, check_seed, parser, run_stage
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.workspace.paths import DATASET, EMA, LATENTS
from training.attributes.config import BANK, IMAGES, LAYERS, STEPS, AttributeConfig

OUT = Path("outputs/attribute.safetensors")


def main() -> None:
    arguments = parser(__doc__)
    arguments.prog = "python -m pipelines.attributes"
    add = arguments.add_argument
    add(
        "weights",
        type=Path,
        nargs="?",
        help=f"weights (.safetensors) of the denoiser (default: the only ones in {EMA})",
    )
    add("--values", metavar="A,B", help="names of classes (default: all of the data set)")
    add("--images", type=int, default=200, help="labelled images (default: %(default)s)")
    add("--layers", type=int, default=1, help="1: linear (the default), 2 or 3: an MLP")
    add("--steps", type=int, default=1000, help="of training, 64 images each (%(default)s)")
    add("--bank", type=int, default=2048, help="images compared with at large noise (%(default)s)")
    add("--seed", type=int, default=0, help="which images, and their noise (%(default)s)")
    add("--out", type=Path, default=OUT, help="where the weights go (default: %(default)s)")
    args = arguments.parse_args()
    bounds = (
        *(("images", 4, IMAGES), ("layers", 1, LAYERS)),
        *(("steps", 1, STEPS), ("bank", 0, BANK)),
    )
    for name, least, bound in bounds:
        check_argument(f"--{name}", getattr(args, name), least, int(bound.most), bound.why)
    check_seed("--seed", args.seed)
    params = load_params(args.params)
    # These take seconds to import, which --help does without.
    import torch

    from dataset.latents import open_dataset
    from models.denoiser import load_denoiser
    from models.weights_folder import chosen_weights
    from pipelines.attributes.training import train_predictor

    values = tuple(args.values.split(",")) if args.values else None
    if values is not None and len(values) < 2:
        raise ValueError(f"--values {args.values}: an attribute needs two values, as A,B")
    config = AttributeConfig(
        values=values,
        images=args.images,
        layers=args.layers,
        steps=args.steps,
        bank=args.bank,
    )
    dataset = open_dataset(DATASET, LATENTS if LATENTS.is_dir() else None)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    denoiser = load_denoiser(chosen_weights(args.weights, EMA), device)
    with progress("attributes: training") as bar:
        trained = train_predictor(denoiser, dataset, config, params.noise, args.seed, bar)
    trained.save(args.out)
    print(f"attributes: {trained.told()}")
    for line in trained.lines():
        print(line)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    run_stage(main)
