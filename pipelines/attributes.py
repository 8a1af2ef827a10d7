"""Train a predictor of an attribute for one denoiser, from a few labelled training images.

  python -m pipelines.attributes outputs/ema/0.1.safetensors --values "Sneaker,Ankle boot"

The attribute's values are classes of the data set; the images are taken at random from the training
images of these classes, so that their shares are those of the data. The predictor reads the
denoiser's hidden state at every noise level. Guidance `marginal` and `distribution` draw the values
with other shares: name the file as `predictor` in params (docs/steering.md).
"""

from pathlib import Path

import numpy as np

from pipelines.console.command import check_argument, check_seed, parser, run_stage
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.workspace.paths import DATASET, LATENTS

OUT = Path("outputs/attributes.safetensors")


def main() -> None:
    arguments = parser(__doc__)
    add = arguments.add_argument
    add("weights", type=Path, help="weights (.safetensors) of the denoiser")
    add("--values", metavar="A,B", help="names of classes (default: all of the data set)")
    add("--images", type=int, default=200, help="labelled images (default: %(default)s)")
    add("--layers", type=int, default=1, help="1: linear (the default), 2 or 3: an MLP")
    add("--steps", type=int, default=1000, help="of training, 64 images each (%(default)s)")
    add("--seed", type=int, default=0, help="which images, and their noise (%(default)s)")
    add("--out", type=Path, default=OUT, help="where the weights go (default: %(default)s)")
    args = arguments.parse_args()
    check_argument("--images", args.images, 4, 10_000_000, "they are kept in memory")
    check_argument("--layers", args.layers, 1, 3, "few images fit no deeper one")
    check_argument("--steps", args.steps, 1, 10_000_000, "it is a small network")
    check_seed("--seed", args.seed)
    params = load_params(args.params)
    # These take seconds to import, which --help does without.
    from dataset.latents import open_dataset
    from models.attribute_predictor import save_attribute_predictor
    from models.denoiser import load_denoiser
    from models.weights import tensors_hash
    from training.attributes.labelled_images import labelled_rows
    from training.attributes.predictor import fit

    dataset = open_dataset(DATASET, LATENTS if LATENTS.is_dir() else None)
    denoiser = load_denoiser(args.weights)
    names = args.values.split(",") if args.values else None
    rows, values, names = labelled_rows(dataset, names, args.images, args.seed)
    images = denoiser.codec.encode(dataset.stored(rows)[0])
    with progress("attributes: training") as bar:
        fitted = fit(
            denoiser,
            images,
            values,
            names,
            params.noise,
            seed=args.seed,
            layers=args.layers,
            steps=args.steps,
            progress=bar,
        )
    facts = {
        "images": len(rows),
        "steps": args.steps,
        "seed": args.seed,
        "dataset_hash": dataset.content_hash,
        "cross_entropy": fitted.cross_entropy,
        "accuracy": fitted.accuracy,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_attribute_predictor(args.out, fitted.predictor, tensors_hash(denoiser.state_dict()), facts)
    shares = np.bincount(values.numpy(), minlength=len(names)) / len(rows)
    told = ", ".join(f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True))
    print(f"attributes: {len(rows)} training images ({told})")
    print("noise levels (sigma)  cross-entropy (nats)  right, of images kept back")
    for (low, high), entropy, right in fitted.ranges():
        print(f"{low:8.3f} to {high:6.3f}  {entropy:20.3f}  {right:8.0%}")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    run_stage(main)
