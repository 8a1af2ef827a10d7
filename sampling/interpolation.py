"""Images between two: the noise of one is turned into that of the other along a great circle."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sampling.generate import checked_labels, prepare
from sampling.guidance.base import Guide, LabelledDenoiser
from sampling.request import GenerationRequest
from sampling.seeds import image_generators
from sampling.solvers.table import adds_noise


def interpolate(
    denoiser: LabelledDenoiser,
    request: GenerationRequest,
    ends: tuple[int, int],
    frames: int,
    *,
    guide: Guide = None,
) -> Iterator[Tensor]:
    """For each of the request's labels, the images between two numbers: float32 [frames, C, H, W].

    They lie on the CPU, in data units. The first and the last image are those that the numbers
    `ends` have in a generation by `generate_batches`; the request's own indices are not used.

    Raises ValueError, before any evaluation, for fewer than 2 frames and for a sampler that adds
    fresh noise, with which neighbouring frames would differ by chance.
    """
    if frames < 2:
        raise ValueError(f"{frames} frames: an interpolation has 2 or more, its ends among them")
    labels = checked_labels(denoiser, request.from_noise("an interpolation"))
    drawing = prepare(denoiser, request, guide=guide)
    if adds_noise(request.sampler.make_solver(), drawing.sigmas):
        raise ValueError(
            f"solver {request.sampler.solver} adds fresh noise with these options, so images "
            "between two would differ by chance: interpolate with a deterministic sampler, such as "
            "heun without churn, ddim with eta 0, dpmpp_2m or unipc"
        )
    first, last = drawing.noise(image_generators(request.seed, ends))
    between = great_circle(first, last, frames)

    def rows() -> Iterator[Tensor]:
        for label in labels.tolist():
            parts = [
                drawing.solve(noise, torch.full((len(noise),), label))
                for noise in between.split(request.batch_size)
            ]
            yield torch.cat(parts).float().cpu()

    return rows()


def great_circle(first: Tensor, last: Tensor, count: int) -> Tensor:
    """`count` tensors from first to last at equal angles (Shoemake 1985, slerp): [count, ...].

    (sin((1 - t) a) first + sin(t a) last) / sin(a), a the angle between the two. So unit normal
    noise keeps its norm, where a straight line would lower it. The ends are exact.
    """
    one, other = first.double(), last.double()
    cosine = (one * other).sum() / (one.norm() * other.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    shares = torch.linspace(0, 1, count, dtype=torch.float64, device=first.device)
    shares = shares.view(-1, *[1] * first.ndim)
    if angle.sin() < 1e-6:  # parallel, where the limit is the straight line
        between = (1 - shares) * one + shares * other
    else:
        between = ((1 - shares) * angle).sin() * one + (shares * angle).sin() * other
        between = between / angle.sin()
    between = between.to(first.dtype)
    between[0], between[-1] = first, last
    return between
