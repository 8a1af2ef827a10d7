"""Train two small networks that say how well an image fits a caption, on your prepared pairs.

They may guide samples: python -m pipelines.sample WEIGHTS --prompt "..." --guide gradient=1
--classifier outputs/dual_encoder.safetensors. They judge nothing.
"""

from pathlib import Path

from dataset.store import ImageDataset
from pipelines.console.command import check_argument, parser, run_stage
from pipelines.console.progress import progress
from pipelines.params import load_params
from pipelines.stages.whole_folders import check_whole
from pipelines.workspace.paths import DATASET
from pipelines.workspace.weights_files import with_encoder_folder

OUT = Path("outputs/dual_encoder.safetensors")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--out", type=Path, default=OUT, help="where the weights go (default: %(default)s)"
    )
    arguments.add_argument(
        "--kimg", type=float, default=200.0, help="training length (default: %(default)s)"
    )
    args = arguments.parse_args()
    check_argument("--kimg", args.kimg, 1, 1_000_000, "it is a small network")
    params = load_params(args.params)
    config = with_encoder_folder(params).text
    if config is None:
        raise ValueError("model.text is null: set it to the encoder of captions, {kind: words}")
    check_whole(DATASET)
    dataset = ImageDataset(DATASET)
    # These take seconds to import, which --help does without.
    from models.dual_encoder import save_dual_encoder
    from training.dual_encoder import train_dual_encoder

    images = round(args.kimg * 1000)
    with progress("dual encoder: training") as bar:
        trained = train_dual_encoder(dataset, config, seed=params.seed, images=images, progress=bar)
    facts = {
        "images": images,
        "seed": params.seed,
        "dataset_hash": dataset.content_hash,
        "held_out_accuracy": trained.accuracy,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_dual_encoder(args.out, trained.network, facts)
    told = "no held-out image has a caption of training"
    if trained.accuracy is not None:
        told = (
            f"finds the caption of {trained.accuracy:.1%} of the held-out images that have one of "
            f"training (by chance {trained.chance:.1%})"
        )
    print(f"dual encoder: {args.out}; it {told}")


if __name__ == "__main__":
    run_stage(main)
