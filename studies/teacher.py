"""Where does a discriminator send the images that it judges? A test of it as a teacher.

  python -m studies.teacher outputs/ema/0.1.safetensors --sampler fast8
  python -m studies.teacher WEIGHTS --sampler fast8 --kinds per_sample,graph,tangent,random

A discriminator that tells generated from real images need not be a good teacher. Here each form
learns for --steps steps and is then frozen; features of images that it never learned from are moved
along its gradient in --moves steps, of --length in all. Two kinds of images are moved:

- `smeared`: real ones with noise of the shape of their own covariance (--noise standard
  deviations). What was added is known, so the cosine between the gradient and the way back is
  measured, and the length is a part of the noise's.
- `generated`: those of the sampler. The length is a part of the mean distance to the nearest real.

Beside it stand the dimension ratio and coverage before and after, and those of real images (floor).
`random` is the form bank with random points of the bank in place of neighbours: what it does, no
edge to a neighbour has done. Forms without an opponent (law, kernel, fd) learn nothing and are only
followed. Writes teacher.csv.
"""

from pipelines.console.command import check_argument
from studies.discriminator_options import make_parser, parse
from studies.tables import markdown, spread

KINDS = (
    *("per_sample", "graph", "random", "tangent", "bank", "two_bank"),
    *("law", "kernel", "fd"),
)


def main(arguments: list[str] | None = None) -> None:
    """Train, follow, measure."""
    parser = make_parser("teacher", __doc__, ",".join(KINDS), 300, 1024)
    add = parser.add_argument
    add("--moves", type=int, default=20, help="default: %(default)s")
    add("--length", type=float, default=0.3, help="default: %(default)s")
    add("--noise", type=float, default=0.3, help="default: %(default)s")
    options = parse(parser, arguments, KINDS, 0)
    try:
        check_argument("--moves", options.moves, 1, 10_000, "it has arrived long before")
        for name in ("length", "noise"):
            if not 0 < getattr(options, name) <= 10:
                parser.error(f"--{name}: give a number above 0 and at most 10")
        from studies.teacher_moves import COLUMNS, run  # needs torch

        table = run(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / "teacher.csv", index=False, float_format="%.4f")
    lines = [
        [str(subject), str(kind), *(spread(rows[column].dropna(), 3) for column in COLUMNS)]
        for (subject, kind), rows in table.groupby(["subject", "kind"], sort=False)
    ]
    print(markdown(["images", "followed", *COLUMNS.values()], lines))
    print(f"wrote {options.out}/teacher.csv")


if __name__ == "__main__":
    main()
