"""What does the structure game bring? Trains arms with and without it and compares their images.

All arms of a seed start from the same weights and see the same images in the same order, so they
are compared seed by seed. The weights are those of --init; without it they are random, and training
follows the schedule of the params. The control trains longer than the others: one of its snapshots
has seen as many images as they have, and a later one took as much time. Images are drawn by the
deployed samplers (few steps; with the adapter if the arm trained one) and by the long one (without
it), and are judged with the floors of real images. Fakes that a sampler draws (deployed, onpolicy)
are drawn by the first of --deployed.

  python -m studies.structure --init outputs/ema/0.1.safetensors
  python -m studies.structure --init WEIGHTS --arms graph,per_sample --seeds 0,1,2 --kimg 64
  python -m studies.structure
  python -m studies.structure --params presets/fashion_mnist.yaml --init WEIGHTS --deployed few5 \\
    --arms per_sample --arm quick:structure.adapter_lr=0.003

Needs outputs/dataset and outputs/reference of the same params. Finished runs and images judged are
kept in the output folder: the same command goes on where it stopped. Writes structure.csv,
structure.md, structure.png, samples.png (images of the arms side by side) and, with --at,
tradeoff.png.
"""

from studies.structure.options import parse


def main(arguments: list[str] | None = None) -> None:
    """Train, judge, report."""
    options = parse(arguments, __doc__)
    from studies.structure.study import run  # needs torch, which --help does without

    run(options)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
