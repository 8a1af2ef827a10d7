"""Autoencoders of the library diffusers: AutoencoderKL, AutoencoderTiny and AutoencoderDC.

All three take and give pictures in [-1, 1]; AutoencoderTiny, whose networks work on [0, 1], shifts
them inside. The scaling factors in their configs are never applied by these classes, and are not
applied here: the codec standardises each channel by what it measures.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.autoencoders.base import Autoencoder, Moments
from models.autoencoders.diffusers_folder import LEVELS, read_diffusers_folder

MISSING = "the library diffusers is not installed: pip install -e '.[diffusers]'"


class DiffusersAutoencoder(Autoencoder):
    """An autoencoder of the library; only AutoencoderKL has a standard deviation above 0."""

    kind = "diffusers"

    def __init__(
        self,
        channels: int,
        latent_channels: int,
        factor: int,
        class_name: str,
        config: dict[str, Any],
    ):
        """class_name, config: of the library. Raises ImportError where it is not installed."""
        super().__init__(channels, latent_channels, factor)
        self.class_name, self.config = class_name, config
        self.network = library_class(class_name).from_config(config)

    def architecture(self) -> dict[str, Any]:
        """The class and its arguments."""
        return {"class_name": self.class_name, "config": self.config}

    def encode(self, images: Tensor) -> Moments:
        found = self.network.encode(images.to(self.network.dtype))
        if self.class_name == "AutoencoderKL":
            return Moments(found.latent_dist.mean, found.latent_dist.std)
        mean = found.latents if self.class_name == "AutoencoderTiny" else found.latent
        return Moments(mean, torch.zeros_like(mean))

    def decode(self, latents: Tensor) -> Tensor:
        return self.network.decode(latents.to(self.network.dtype)).sample.clamp(-1, 1)


def library_class(name: str) -> Any:
    """A class of the library by name. Raises ImportError without the library, ValueError for names
    that are not known here."""
    if name not in LEVELS:
        raise ValueError(f"{name!r:.60} is none of {', '.join(LEVELS)}")
    try:
        import diffusers
    except ImportError as error:
        raise ImportError(MISSING) from error
    return getattr(diffusers, name)


def from_folder(path: str | Path) -> DiffusersAutoencoder:
    """The autoencoder of a local folder, in fp32: config.json and .safetensors files alone.

    Raises ValueError for a folder without one, or whose weights do not fit its config.json.
    """
    told = read_diffusers_folder(path)
    plain = any(
        (told.folder / f"diffusion_pytorch_model.safetensors{end}").is_file()
        for end in ("", ".index.json")
    )
    names = sorted(file.name for file in told.folder.glob("*.safetensors"))
    variant = None if plain else names[0].split(".")[1]  # NAME.fp16.safetensors
    try:
        network, loading = library_class(told.class_name).from_pretrained(
            str(told.folder),
            variant=variant,
            torch_dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, RuntimeError, ValueError) as error:
        lines = " ".join(str(error).split())[:200]
        raise ValueError(f"{told.folder} cannot be loaded: {lines}") from error
    lost = [*loading["missing_keys"], *loading["unexpected_keys"]]
    if lost:
        raise ValueError(
            f"{told.folder}: config.json is of another autoencoder than the weights ({lost[0]} is "
            "in one of them alone): copy both from one model"
        )
    made = DiffusersAutoencoder(
        told.channels, told.latent_channels, told.factor, told.class_name, told.config
    )
    made.network.load_state_dict(network.state_dict())
    return made.eval()
