"""Images on their way from noise: the states that a solver visits, and what is expected there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sampling.generate import Drawing, checked_labels, prepare
from sampling.guidance.base import Guide, LabelledDenoiser
from sampling.request import GenerationRequest
from sampling.seeds import image_generators


@dataclass(frozen=True)
class Trajectory:
    """S shown noise levels of N images, in data units, on the CPU."""

    sigmas: list[float]
    """[S], strictly decreasing; the last is that of the images, usually 0."""
    states: Tensor
    """x [S, N, C, H, W], with noise of standard deviation sigma in it; the last are the images."""
    denoised: Tensor
    """D(x; sigma) [S, N, C, H, W], with the sampler's guidance; at sigma 0 it is x."""
    sigma_data: float

    def scaled_states(self) -> Tensor:
        """The states at the spread of data: x sigma_data / sqrt(sigma^2 + sigma_data^2)."""
        sigmas = torch.tensor(self.sigmas).view(-1, 1, 1, 1, 1)
        return self.states * self.sigma_data / (sigmas**2 + self.sigma_data**2).sqrt()


def trajectory(
    denoiser: LabelledDenoiser, request: GenerationRequest, most: int, *, guide: Guide = None
) -> Trajectory:
    """The way of the request's images, drawn as one batch, at no more than `most` noise levels.

    The shown levels are spread evenly over the steps, with the first and the last among them. A
    shown level costs one further evaluation. Raises ValueError as `generate_batches` does.
    """
    labels = checked_labels(denoiser, request.from_noise("a trajectory"))
    if request.sampler.counts_calls:
        why = request.sampler.levels_unknown
        raise ValueError(f"a trajectory shows all images at the same levels, and {why}")
    drawing = prepare(denoiser, request, guide=guide)
    generators = image_generators(request.seed, [int(index) for index in request.indices])
    noise = drawing.noise(generators)
    states: list[Tensor] = [noise * drawing.sigmas[0].item()]
    images = drawing.solve(noise, labels, generators, lambda step, x, x0: states.append(x))
    states[-1] = images
    shown = torch.linspace(0, len(states) - 1, min(most, len(states))).round().int().tolist()
    sigmas = [drawing.sigmas[step].item() for step in shown]
    chosen = [states[step] for step in shown]
    expected = [
        _denoised(drawing, x, sigma, labels) for x, sigma in zip(chosen, sigmas, strict=True)
    ]
    return Trajectory(
        sigmas,
        torch.stack(chosen).float().cpu(),
        torch.stack(expected).float().cpu(),
        denoiser.sigma_data,
    )


def _denoised(drawing: Drawing, x: Tensor, sigma: float, labels: Tensor) -> Tensor:
    return drawing.denoised(x, sigma, labels) if sigma > 0 else x
