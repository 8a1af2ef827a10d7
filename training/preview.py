"""Draws preview pictures while training goes on."""

import torch

from sampling.config import SamplerConfig
from sampling.generate import generate
from training.averaged_weights import ema_denoiser
from training.events import SamplesDrawn
from training.players import Player
from training.run_settings import RunSettings

COUNT = 40


def preview(
    settings: RunSettings, player: Player, sampler: SamplerConfig, nimg: int, device: torch.device
) -> SamplesDrawn:
    """Draw pictures with the player's shorter tracked average; seeds and labels never change.

    It draws from its own generators only, so training does not depend on it.
    """
    sigma_rel = settings.ema.tracked[0]
    denoiser = ema_denoiser(player, sigma_rel)
    classes = denoiser.num_classes
    labels = torch.arange(COUNT) % classes if classes else torch.full((COUNT,), -1)
    images = generate(denoiser, sampler, settings.seed, range(COUNT), labels, device=device)
    return SamplesDrawn(nimg, sigma_rel, denoiser.codec.decode(images))
