"""How well can a discriminator tell generated from real images, when it alone learns?

  python -m studies.discriminator outputs/ema/0.1.safetensors --sampler fast8
  python -m studies.discriminator WEIGHTS --sampler fast8 --kinds graph,per_sample --steps 600

For each kind it measures the accuracy (area under the ROC curve; 0.5 is chance) on real and
generated images that it never learned from, against its number of steps, with the settings of
`structure` (Psi, batch, k, gamma, lr). The forms tangent, bank and two_bank look into a bank of
training images that are in neither set. The floor is the same with other real images instead of
generated ones; a discriminator can exceed 0.5 there only if something leaks. Writes
discriminator.csv and discriminator.png.

First it prints what Psi shows: metrics of local structure in its features, for each of
`structure.feature_sigmas` alone and for all of them. If generated images look like real ones in
Psi, a discriminator has nothing to learn.
"""

from typing import TYPE_CHECKING

from pipelines.reporting.figures import COLOURS, INK, new_figure, png, style
from studies.discriminator_options import make_parser, parse
from studies.tables import markdown

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("graph", "per_sample", "tangent", "bank", "two_bank")
"""Unpaired forms of discriminators that learn (discriminators/forms.py)."""


def draw(table: "pd.DataFrame") -> bytes:
    """PNG of the mean accuracy against steps, with the range over seeds; floors are dashed."""
    figure = new_figure((6.4, 4.0))
    axes = figure.subplots()
    style(axes, "accuracy on images never learned from")
    for colour, (kind, own) in zip(COLOURS, table.groupby("kind", sort=False), strict=False):
        for subject, rows in own.groupby("subject", sort=False):
            by_steps = rows.groupby("steps").accuracy
            floor = subject != "generated"
            axes.plot(
                by_steps.mean(), "--" if floor else "-", color=colour, label=f"{kind}, {subject}"
            )
            axes.fill_between(
                by_steps.min().index,
                by_steps.min(),
                by_steps.max(),
                color=colour,
                alpha=0.08 if floor else 0.2,
            )
    axes.axhline(0.5, color=INK, linewidth=0.6)
    axes.set_xlabel("steps of the discriminator")
    axes.legend(fontsize=8)
    return png(figure)


def main(arguments: list[str] | None = None) -> None:
    """Train, measure, draw."""
    parser = make_parser("discriminator", __doc__, "graph,per_sample", 600, 2048)
    options = parse(parser, arguments, KINDS, 1)
    try:
        from studies.discriminator_accuracy import run  # needs torch

        table = run(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / "discriminator.csv", index=False, float_format="%.4f")
    (options.out / "discriminator.png").write_bytes(draw(table))
    steps = sorted(table.steps.unique())
    lines = [
        [str(kind), str(subject), *(f"{mean[s]:.3f} ± {deviation[s]:.3f}" for s in steps)]
        for (kind, subject), rows in table.groupby(["kind", "subject"], sort=False)
        for mean, deviation in [
            (rows.groupby("steps").accuracy.mean(), rows.groupby("steps").accuracy.std())
        ]
    ]
    print(markdown(["discriminator", "tells real images from", *map(str, steps)], lines))
    print(f"wrote {options.out}/discriminator.csv and discriminator.png")


if __name__ == "__main__":
    main()
