"""Draw images from stored weights: PNG files, one sheet, or an npz. Needs no DVC.

examples:
  python -m pipelines.sample outputs/ema/0.1.safetensors --count 64 --grid samples.png
  python -m pipelines.sample outputs/ema/0.1.safetensors --labels 3,7 --seeds 0-9 --out pictures
  python -m pipelines.sample outputs/ema/0.1.safetensors --solver unipc --solver-option order=3 \\
      --grid-name arctan --steps 8 --npz samples.npz
  python -m pipelines.sample outputs/ema/0.1.safetensors --sampler heun18 \\
      --guide classifier_free=2 --grid guided.png
  python -m pipelines.sample outputs/ema/0.1.safetensors --prompt "a red ball" \\
      --guide classifier_free=2 --grid prompts.png

an image that is edited:
  python -m pipelines.sample outputs/ema/0.1.safetensors --image photo.png --mask hole.png \\
      --count 6 --grid filled.png
  python -m pipelines.sample outputs/ema/0.1.safetensors --image photo.png --strength 0.6 \\
      --labels 3 --count 6 --grid like_it.png

large images, over several workers:
  python -m pipelines.sample outputs/ema/0.1.safetensors --bands 2 --count 4 --grid samples.png
  python -m pipelines.sample outputs/ema/0.1.safetensors --bands 2 --band-mode displaced \\
      --count 4 --grid samples.png

pictures of how images come about:
  python -m pipelines.sample outputs/ema/0.1.safetensors --trajectory --grid trajectory.png
  python -m pipelines.sample outputs/ema/0.1.safetensors --interpolate 0 1 --grid between.png
  python -m pipelines.sample outputs/ema --lengths --grid lengths.png

Image i depends on --seed, i and its label alone, so the same command draws the same images.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from models.weights_folder import files_by_length, weights_file
from pipelines.console.command import run_stage
from pipelines.console.progress import progress
from pipelines.sampling_command.arguments import command_line
from pipelines.sampling_command.bands import draw_shared, with_bands
from pipelines.sampling_command.editing import check_editing, chosen_edit, editing_note
from pipelines.sampling_command.images import (
    check_counts,
    chosen_labels,
    chosen_seeds,
    named_labels,
)
from pipelines.sampling_command.sampler import chosen_sampler, classifier_note
from pipelines.sampling_command.targets import (
    check_files,
    check_out,
    write_animation,
    write_images,
    write_view,
)
from pipelines.workspace.paths import dvc_root, grid_cache, is_project
from sampling.config import SamplerConfig
from sampling.drawn_with import drawn_with
from sampling.request import GenerationRequest

if TYPE_CHECKING:
    from models.denoiser import Denoiser

MOST_ROWS = 100
IMAGES, EDITED, ALONG, OVER_LENGTHS, CLASSES_BETWEEN = 64, 8, 3, 8, 8
"""Images, or classes of --interpolate, that are drawn where the command line names none."""


def main() -> None:
    args = command_line(__doc__ or "").parse_args()
    check_files(args)
    check_counts(args)
    check_editing(args)
    files = files_by_length(args.weights) if args.lengths else []
    weights = files[0][1] if files else weights_file(args.weights)
    sampler = with_bands(args, chosen_sampler(args))
    # These take seconds to import, which --help and a mistyped command do without.
    import torch

    from models.denoiser import load_denoiser

    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    denoiser = load_denoiser(weights, device)
    for remark in denoiser.ask(args.prompt) if args.prompt else []:
        print(remark, file=sys.stderr)
    request = asked(args, sampler, denoiser, weights)
    tell(classifier_note(request, denoiser.num_classes))
    if sampler.grid == "fitted" and not args.lengths:  # there each column has levels of its own
        request = fitted(denoiser, request)
    tell(editing_note(request))
    if args.lengths or args.trajectory or args.interpolate:
        draw_view(args, denoiser, request, files, device)
    else:
        draw_images(args, denoiser, request)


def tell(note: str | None) -> None:
    """Print a note, if there is one, beside what the command writes."""
    if note:
        print(note, file=sys.stderr)


def asked(
    args: argparse.Namespace, sampler: SamplerConfig, denoiser: "Denoiser", weights: Path
) -> GenerationRequest:
    """The images that the command line asks for. Raises ValueError for what cannot be drawn."""
    classes, names = denoiser.num_classes, denoiser.label_names
    if args.interpolate:
        rows = named_labels(args.labels, classes, names)
        rows = rows if args.labels else rows[:CLASSES_BETWEEN]
        seeds, labels = (
            list(range(len(rows))),
            chosen_labels(args.labels, len(rows), classes, names),
        )
    else:
        count = ALONG if args.trajectory else OVER_LENGTHS if args.lengths else IMAGES
        count = EDITED if args.image is not None else count
        seeds = chosen_seeds(args, count)
        if (args.trajectory or args.lengths) and len(seeds) > MOST_ROWS:
            raise ValueError(
                f"a sheet shows {MOST_ROWS} images at most, and {len(seeds)} are asked for: give "
                "fewer --seeds"
            )
        labels = chosen_labels(args.labels, len(seeds), classes, names)
    return GenerationRequest(
        sampler=sampler,
        seed=args.seed,
        indices=seeds,
        labels=labels,
        batch_size=args.batch_size,
        weights=str(weights),
        prompts=tuple(args.prompt),
        edit=chosen_edit(args, denoiser),
        classifier=None if args.classifier is None else str(args.classifier),
        cache_dir=str(grid_cache()) if is_project(dvc_root()) else None,
    )


def fitted(denoiser: "Denoiser", request: GenerationRequest) -> GenerationRequest:
    """The request with the levels that grid fitted finds, which are told."""
    from sampling.from_weights import with_fitted_levels

    tell("grid fitted: searching its levels, or reading those kept")
    request = with_fitted_levels(request, denoiser)
    levels = ", ".join(f"{level:.4g}" for level in request.sampler.visited_levels())
    tell(f"grid fitted: {levels}")
    return request


def draw_images(args: argparse.Namespace, denoiser: "Denoiser", request: GenerationRequest) -> None:
    """Draw single images and write what the command line asks for."""
    from sampling.drawing.tally import EvaluationTally
    from sampling.from_weights import generate_pictures

    facts = drawn_with(request)
    check_out(args, facts)
    sampler = request.sampler
    tally = (
        EvaluationTally(len(request.indices), sampler.guidance) if sampler.counts_calls else None
    )
    with progress("sample", len(request.indices)) as bar:
        images = draw_shared(args, denoiser, request, bar)
        if images is None:
            images = generate_pictures(denoiser, request, bar, tally=tally)
    if tally is not None:
        tell(f"{sampler.solver}: {tally.words()}")
    write_images(args, images, request, denoiser.label_names, facts)


def draw_view(
    args: argparse.Namespace,
    denoiser: "Denoiser",
    request: GenerationRequest,
    files: list[tuple[float, Path]],
    device: str,
) -> None:
    """Draw a picture of how images come about, and write it. files: of --lengths."""
    from pipelines.sampling_command import views

    if args.trajectory:
        view = views.trajectory_view(denoiser, request, args.columns)
    elif args.interpolate:
        with progress("interpolate", len(request.labels)) as bar:
            view = views.interpolation_view(
                denoiser, request, tuple(args.interpolate), args.frames, bar
            )
    else:
        with progress("lengths", len(files)) as bar:
            view = views.lengths_view(files, request, device, bar)
    write_view(args, view.sheet, view.arrays)
    if args.animation:
        write_animation(args.animation, views.frames_of(view))


if __name__ == "__main__":
    run_stage(main)
