"""Autoencoders between pictures and latents: the kinds, and how one is stored.

A kind is one class in a file of models/autoencoders/ and one entry in NETWORKS; its settings are in
models/autoencoders/config.py. On disk it is `autoencoder.safetensors` with `autoencoder.json`
beside it, like all weights of this project.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from foundation.did_you_mean import check_name
from models.autoencoders.base import Autoencoder, Moments
from models.weights import WeightsError, file_hash, load_tensors, save_weights, whole

__all__ = ["Autoencoder", "Moments", "autoencoder_hash", "load_autoencoder", "save_autoencoder"]

FILE = "autoencoder.safetensors"
"""Name of an autoencoder's weights, beside a denoiser's or in a folder `autoencoder`."""


def _pca(**facts: Any) -> Autoencoder:
    from models.autoencoders.pca import PCAAutoencoder

    return PCAAutoencoder(**facts)


def _kl(**facts: Any) -> Autoencoder:
    from models.autoencoders.kl import KLAutoencoder

    return KLAutoencoder(**facts)


def _diffusers(**facts: Any) -> Autoencoder:
    from models.autoencoders.diffusers import DiffusersAutoencoder

    return DiffusersAutoencoder(**facts)


NETWORKS: dict[str, Callable[..., Autoencoder]] = {
    "pca": _pca,
    "kl": _kl,
    "diffusers": _diffusers,
}
"""{kind: function that makes the network, without its weights, from channels, latent_channels,
factor and the entries of its architecture}."""


def save_autoencoder(
    path: Path, autoencoder: Autoencoder, facts: Mapping[str, Any] | None = None
) -> None:
    """Write the weights at `path` (.safetensors) and the description beside it.

    facts: further entries of the description, JSON-able, which decide nothing.
    """
    description = {**(facts or {}), **autoencoder.describe()}
    save_weights(Path(path), autoencoder.state_dict(), description)


def load_autoencoder(path: str | Path, device: torch.device | str = "cpu") -> Autoencoder:
    """A stored autoencoder, frozen and in evaluation mode.

    path: its .safetensors file, or the folder that holds it as `autoencoder.safetensors`. Raises
    WeightsError, naming the file, if it is missing, damaged, or describes no autoencoder.
    """
    path = _file(path)
    tensors, description = load_tensors(path)
    try:
        check_name("autoencoder", description["kind"], NETWORKS)
        sizes = {
            key: whole(description, key, 1, 4096)
            for key in ("channels", "latent_channels", "factor")
        }
        architecture = description.get("architecture") or {}
        network = NETWORKS[description["kind"]](**sizes, **architecture)
        network.load_state_dict(tensors)
    except ImportError as error:
        raise WeightsError(f"{path} cannot be loaded: {error}") from error
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        summary = "; ".join(line.strip() for line in str(error).splitlines()[:3])[:200]
        raise WeightsError(
            f"{path} does not describe an autoencoder of this version: {summary}"
        ) from error
    return network.to(device).eval().requires_grad_(False)


def autoencoder_hash(path: str | Path) -> str:
    """sha256 of an autoencoder's weights file, by which latents know it."""
    return file_hash(_file(path))


def _file(path: str | Path) -> Path:
    path = Path(path)
    return path / FILE if path.is_dir() else path
