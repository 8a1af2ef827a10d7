"""The options of python -m pipelines.sample that share each image among workers, in bands."""

import argparse
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipelines.settings.cluster import ClusterConfig
from sampling.band_plan import band_plan, check_bands, two_sides
from sampling.bands_config import BandsConfig
from sampling.config import SamplerConfig, whole_images_only
from sampling.options import describe

if TYPE_CHECKING:
    import numpy as np

    from models.denoiser import Denoiser
    from sampling.generate import Progress
    from sampling.request import GenerationRequest

MODES = ("exact", "displaced")


def add_band_options(group: argparse._ArgumentGroup) -> None:
    """--bands and what belongs to it."""
    group.add_argument(
        "--bands",
        type=int,
        metavar="N",
        help="cut each image into N bands of rows, one for each of N Ray workers of this machine "
        "(docs/parallel_inference.md); where classifier_free guides, half of an even number of "
        "workers takes each of its sides",
    )
    group.add_argument(
        "--band-mode",
        choices=MODES,
        help="exact: the images of one worker (default); displaced: workers use each other's "
        "values of the step before and need not wait, and the images depend on N",
    )
    group.add_argument(
        "--band-warm-up",
        type=int,
        metavar="K",
        help="displaced: so many evaluations after the first still wait for fresh values "
        "(default: 1)",
    )
    group.add_argument(
        "--band-workers",
        type=int,
        metavar="W",
        help="displaced: workers that hold the bands (default: N, and twice as many with "
        "classifier_free); 0: this process holds them all, which gives the same images without "
        "saving time",
    )


def with_bands(args: argparse.Namespace, sampler: SamplerConfig) -> SamplerConfig:
    """The sampler with the bands that the command line asks for.

    Raises ValueError for options that do not go together.
    """
    given = {
        "--band-mode": args.band_mode,
        "--band-warm-up": args.band_warm_up,
        "--band-workers": args.band_workers,
    }
    alone = [option for option, value in given.items() if value is not None]
    if (args.bands is not None and args.bands < 1) or min(0, *_numbers(args)) < 0:
        raise ValueError("--bands takes at least 1, --band-workers and --band-warm-up at least 0")
    if (args.bands or args.band_workers) and (args.trajectory or args.interpolate or args.lengths):
        raise ValueError("workers share single images: leave out --trajectory and its like")
    if args.bands is None:
        if alone and (sampler.bands is None or alone != ["--band-workers"]):
            raise ValueError(f"{alone[0]} says how images are cut into bands: give --bands too")
        return sampler
    unfit = [entry.kind for entry in sampler.guidance if whole_images_only(entry)]
    if unfit:
        raise ValueError(
            f"--bands: guidance {unfit[0]} reaches into the network or differentiates it, which "
            "bands do not allow: leave out --bands, or this guidance"
        )
    if sampler.counts_calls:
        raise ValueError(
            f"--bands: {sampler.levels_unknown}, and bands are cut of whole batches: leave out "
            "--bands, or use another solver"
        )
    if args.band_mode != "displaced":
        if args.band_warm_up is not None:
            raise ValueError("--band-warm-up belongs to --band-mode displaced: exact needs none")
        if args.band_workers not in (None, args.bands):
            raise ValueError(
                f"--band-workers {args.band_workers}: exact bands are drawn by as many workers: "
                "leave it out (without --bands one process draws the same images)"
            )
        if sampler.bands is not None:
            raise ValueError(
                f"this sampler has displaced bands of its own ({sampler.bands.count}): give "
                "--band-mode displaced, or another sampler"
            )
        return sampler
    bands = {"count": args.bands}
    if args.band_warm_up is not None:
        bands["warm_up"] = args.band_warm_up
    try:
        return SamplerConfig(**{**sampler.model_dump(), "bands": BandsConfig(**bands)})
    except ValidationError as error:
        raise ValueError(describe(error)) from None


def _numbers(args: argparse.Namespace) -> tuple[int, int]:
    return args.band_workers or 0, args.band_warm_up or 0


def band_workers(args: argparse.Namespace, sampler: SamplerConfig) -> int:
    """How many workers share each image; 0: this process draws."""
    if args.band_workers is not None or args.bands is None:
        return args.band_workers or 0
    return 2 * args.bands if sampler.bands is not None and two_sides(sampler) else args.bands


def draw_shared(
    args: argparse.Namespace, denoiser: "Denoiser", request: "GenerationRequest", bar: "Progress"
) -> "np.ndarray | None":
    """The request's pictures from workers that share them; None: this process is to draw.

    Raises ValueError for a number of workers that cannot hold the bands, or of bands that do not
    divide the images.
    """
    workers = band_workers(args, request.sampler)
    if workers <= 1:
        return None
    plan = band_plan(request.sampler, workers)
    if plan is None:
        count = request.sampler.bands.count if request.sampler.bands else workers
        raise ValueError(
            f"--band-workers {workers}: the {count} bands of an image need {count} workers, or "
            f"{2 * count} with classifier_free guidance, or 0"
        )
    check_bands(plan.bands, denoiser.image_shape[1], denoiser.config)
    from pipelines.ray_jobs.band_workers import draw_in_bands  # brings torch

    gpu = None if args.device is None else args.device.startswith("cuda")
    return draw_in_bands(request, plan, ClusterConfig(band_workers=workers, use_gpu=gpu), bar)
