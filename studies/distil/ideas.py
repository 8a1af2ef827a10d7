"""Draws the three ways to train a student, on exact one-dimensional data.

  python -m studies.distil.ideas --out docs/images/distillation.png

The data are two narrow modes, whose denoiser is known exactly (models/analytic.py), so every curve
is computed and none is sketched.
"""

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.reporting.figures import COLOURS, INK, MUTED, new_figure, png, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from models.analytic import GaussianMixtureDenoiser

HIGH, LOW = 5.0, 0.01


def data() -> "GaussianMixtureDenoiser":
    """Two modes at -1 and 1 of deviation 0.15."""
    import torch

    from models.analytic import GaussianMixtureDenoiser

    return GaussianMixtureDenoiser(torch.tensor([-1.0, 1.0]).double().view(2, 1, 1, 1), 0.15)


def paths(start: "Tensor", steps: int = 400) -> "tuple[Tensor, Tensor]":
    """(levels [steps + 1], states [steps + 1, N]) of the teacher's ODE from x = `start` [N]."""
    import torch

    denoiser = data()
    levels = torch.logspace(torch.tensor(HIGH).log10(), torch.tensor(LOW).log10(), steps + 1)
    levels = levels.double()
    x, states = start.double().view(-1, 1, 1, 1), [start.double()]
    for high, low in itertools.pairwise(levels):
        slope = (x - denoiser(x, high.expand(len(x)))) / high
        there = x + (low - high) * slope
        other = (there - denoiser(there, low.expand(len(x)))) / low
        x = x + (low - high) * (slope + other) / 2
        states.append(x.flatten())
    return levels, torch.stack(states)


def regression(axes: "Axes") -> None:
    """The teacher's image of each noise, and what one smooth evaluation can learn of it."""
    import torch

    noise = torch.linspace(-2.2, 2.2, 600).double()
    _, states = paths(HIGH * noise)
    ends = states[-1]
    near = torch.exp(-((noise[:, None] - noise[None]) ** 2) / (2 * 0.25**2))
    smooth = (near * ends[None]).sum(1) / near.sum(1)
    axes.plot(noise, ends, color=COLOURS[0], label="teacher's image of the noise")
    axes.plot(noise, smooth, color=COLOURS[1], label="its mean over similar noises")
    axes.set_xlabel("noise z")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    style(axes, "regression")


def consistency(axes: "Axes") -> None:
    """Paths of the teacher's ODE; a student gives all states of one path the same image."""
    import torch

    levels, states = paths(HIGH * torch.linspace(-1.6, 1.6, 13))
    for path in states.T:
        axes.plot(levels, path, color=MUTED, linewidth=0.8)
    chosen = states[:, 8]
    for level, name in ((2.0, "$x_t$"), (0.8, "$x_r$")):
        index = int((levels - level).abs().argmin())
        axes.plot(levels[index], chosen[index], "o", color=COLOURS[1])
        axes.annotate(name, (levels[index], chosen[index]), (4, 6), textcoords="offset points")
    axes.plot(levels[-1], chosen[-1], "s", color=COLOURS[0])
    axes.annotate(
        "one image for both", (levels[-1], chosen[-1]), (-110, 12), textcoords="offset points"
    )
    axes.plot(levels, chosen, color=COLOURS[1], linewidth=1.6)
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_xlabel("noise level")
    style(axes, "consistency")
    axes.set_xticks([5, 1, 0.1, 0.01], ["5", "1", "0.1", "0.01"])
    axes.set_xticks([], minor=True)


def matching(axes: "Axes") -> None:
    """Densities of noisy images of data and student, and where the student is sent."""
    import torch

    from models.analytic import GaussianDenoiser
    from training.objectives import distribution_matching_gradient

    teacher, critic = data(), GaussianDenoiser((1, 1, 1), 0.4, 0.35)
    y, sigma = torch.linspace(-2.2, 2.2, 300).double().view(-1, 1, 1, 1), 0.3
    levels = torch.full((len(y),), sigma, dtype=torch.float64)
    flat = y.flatten()
    axes.fill_between(
        flat, teacher.log_prob(y, levels).exp(), color=COLOURS[0], alpha=0.25, label="data"
    )
    axes.plot(flat, critic.log_prob(y, levels).exp(), color=COLOURS[1], label="student's images")
    step = -distribution_matching_gradient(y, y, levels, teacher, critic, normalise=False).flatten()
    some = slice(12, None, 24)
    axes.quiver(
        flat[some], torch.full_like(flat[some], -0.08), step[some], torch.zeros_like(step[some]),
        angles="xy", scale_units="xy", scale=1.0, width=0.006, color=INK,
    )  # fmt: skip
    axes.set_xlabel("noisy image (arrows: the student's step)")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    style(axes, "distribution matching")


def main(arguments: list[str] | None = None) -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.distil.ideas",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    figure = new_figure((11.6, 3.4))
    for axes, draw in zip(figure.subplots(1, 3), (regression, consistency, matching), strict=True):
        draw(axes)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(png(figure))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
