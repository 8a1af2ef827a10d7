"""Weights of a small untrained network that reads words, for tests of prompts."""

import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.weights import save_weights


def save_words(folder, captions, lengths=(0.1,)):
    """Write weights whose pictures depend on the words asked for; the file of the first length."""
    torch.manual_seed(0)
    text = {"kind": "words", "width": 8, "resolutions": (8,)}
    config = ModelConfig(
        channels=8, channel_mult=(1,), attention_resolutions=(), structural_blocks=(), text=text
    )
    denoiser = Denoiser((1, 8, 8), len(captions), config, label_names=captions)
    with torch.no_grad():
        for name, parameter in denoiser.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(1.0)
    for length in lengths:
        facts = describe(denoiser) | {"sigma_rel": length}
        save_weights(folder / f"{length}.safetensors", denoiser.state_dict(), facts)
    return folder / f"{lengths[0]}.safetensors"
