"""A glance at the samples of the running average, while training goes on."""

import torch

from dataset.store import ImageDataset
from sampling.config import SamplerConfig
from sampling.generate import generate
from training.averaged_weights import ema_denoiser
from training.run_settings import RunSettings
from training.state.train_state import TrainState

COUNT = 40
SAMPLER = SamplerConfig(solver="heun", grid="karras", steps=12)


def preview(
    settings: RunSettings, state: TrainState, dataset: ImageDataset, device: torch.device
) -> dict:
    """The "samples" event: the same seeds and labels at every call, uint8 [N, H, W, C].

    Draws from its own generators only, so it leaves no trace in training.
    """
    sigma_rel = settings.ema.tracked[0]
    denoiser = ema_denoiser(state, sigma_rel)
    classes = denoiser.num_classes
    labels = torch.arange(COUNT) % classes if classes else torch.full((COUNT,), -1)
    images = generate(denoiser, SAMPLER, settings.seed, range(COUNT), labels, device=device)
    return {"kind": "samples", "nimg": state.nimg, "sigma_rel": sigma_rel,
            "images": denoiser.codec.decode(images)}  # fmt: skip
