"""The adapters of several classes upon one frozen denoiser."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from foundation.json_hash import json_hash
from models.adapter_file import KIND, load_adapter, save_adapter
from models.denoiser import Denoiser, plain_copy
from models.errors import denoising_errors
from models.layers.low_rank_adapter import install_adapter, remove_adapter, switched_on
from models.weights import WeightsError, load_description


class ClassAdapters:
    """A copy of the denoiser, over its own weights, with one named adapter for each class.

    Args:
        denoiser: frozen; its own adapters do not act.
        names: of the classes.
        sigma_range: levels at which the adapters act; at others every class gives the plain answer.
    """

    def __init__(
        self, denoiser: Denoiser, names: Sequence[str], sigma_range: tuple[float, float]
    ) -> None:
        self.network = plain_copy(denoiser, shared=True).eval()
        self.names, self.sigma_range = tuple(names), sigma_range
        self.adapters = adapter_names_of(names)

    def install(self, number: int, tensors: Mapping[str, Tensor]) -> None:
        """Give the class of that number its adapter, in place of one that it has."""
        remove_adapter(self.network, self.adapters[number])
        install_adapter(self.network, self.adapters[number], tensors)

    def denoise(self, number: int, x: Tensor, sigma: Tensor) -> Tensor:
        """x0 [B, C, H, W] by the denoiser of that class, without a label; sigma [B]."""
        low, high = self.sigma_range
        acts = (sigma >= low) & (sigma <= high)
        if acts.all():
            with switched_on(self.network, self.adapters[number]):
                return self.network(x, sigma)
        plain = self.network(x, sigma)
        if acts.any():
            with switched_on(self.network, self.adapters[number]):
                plain[acts] = self.network(x[acts], sigma[acts])
        return plain

    def errors(self, number: int, images: Tensor, sigmas: Tensor, noise: Tensor) -> Tensor:
        """Squared errors [N, S] of that class (models/errors.py), for denoising_classifier."""

        def answer(x: Tensor, sigma: Tensor, _: Tensor | None) -> Tensor:
            device = self.network.device
            return self.denoise(number, x.to(device), sigma.to(device)).to(x.device)

        return denoising_errors(answer, images, None, sigmas, noise)

    def save(self, number: int, folder: Path, training: Mapping[str, Any]) -> Path:
        """Write the adapter of that class into the folder; returns the file."""
        path = self.path(number, folder)
        facts = {"class": self.names[number], "sigma_range": list(self.sigma_range), **training}
        save_adapter(self.network, self.adapters[number], path, facts)
        return path

    def load(self, number: int, folder: Path, mark: str) -> bool:
        """Take the adapter from the folder if it was fitted under this mark; else change nothing.

        A file that is missing, damaged or of another mark or denoiser is no adapter to take.
        """
        path = self.path(number, folder)
        try:
            about = load_description(path)
            if about.get("kind") != KIND or about.get("training", {}).get("mark") != mark:
                return False
            remove_adapter(self.network, self.adapters[number])
            load_adapter(self.network, path, self.adapters[number])
        except WeightsError:
            return False
        return True

    def path(self, number: int, folder: Path) -> Path:
        """The file of that class's adapter."""
        return folder / f"{self.adapters[number].removeprefix('class_')}.safetensors"


def adapter_names_of(names: Sequence[str]) -> list[str]:
    """Names of adapters, letters, digits and underscores, a different one for each class."""
    out: list[str] = []
    for number, name in enumerate(names):
        word = "class_" + (re.sub(r"\W+", "_", name).strip("_") or str(number))
        known = {one.lower() for one in out}  # some file systems know no capitals
        out.append(f"{word}_{number}" if word.lower() in known else word)
    return out


def class_mark(*parts: Any, images: Tensor) -> str:
    """Hash of all that an adapter depends on but the denoiser, which its file names itself.

    parts: JSON-able.
    """
    pixels = hashlib.sha256(images.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
    return json_hash([*parts, pixels])[:16]
