"""Latents of an autoencoder as data space, standardised per channel.

Stored are the moments [mean, std] of a picture's latents and of its mirror image's, since a
latent's own mirror image is not the latent of the mirror image. With eps unit normal, and m_c and
s_c the mean and standard deviation of channel c over the training images,

    x = (mean + std * eps - m_c) * 0.5 / s_c

has mean 0 and standard deviation 0.5, as sigma_data expects (EDM2, arXiv 2312.02696, appendix B).
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.autoencoder import FILE, Autoencoder, autoencoder_hash, load_autoencoder
from models.autoencoders.base import pictures_at_once
from models.bands.decoding import decode_in_bands
from models.codecs.pixel import to_float, to_uint8
from models.layers.exchange import Exchange
from models.weights import WeightsError, image_shape

STD = 0.5
"""Standard deviation of each channel of the data."""
_UP = 4


class LatentCodec:
    """Standardised latents; its autoencoder is looked for when pictures are wanted."""

    kind = "latent"

    def __init__(
        self,
        autoencoder: str,
        picture_shape: tuple[int, int, int],
        shape: tuple[int, int, int],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        random: bool,
    ):
        """
        Args:
            autoencoder: sha256 of its weights file.
            picture_shape: (C, H, W) of the pictures.
            shape: (c, h, w) of the latents.
            mean, std: of each of the c channels over the training images.
            random: whether a picture has a distribution of latents; False: stored std are all 0.
        """
        self.autoencoder, self.picture_shape, self.shape = autoencoder, picture_shape, shape
        self.mean, self.std, self.random = mean, std, random
        self.exchange: Exchange | None = None
        """Where processes decode a band each (`decoded_in_bands`); None: pictures are whole."""
        self._near: list[Path] = []
        self._network: Autoencoder | None = None

    def __deepcopy__(self, memo: dict) -> "LatentCodec":
        """Itself: copies of a denoiser share the autoencoder, which never changes."""
        return self

    @property
    def noise_shape(self) -> tuple[int, int, int] | None:
        """That of the latents; None where a picture has one latent."""
        return self.shape if self.random else None

    def data_shape(self, picture_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """That of the latents. Raises ValueError for pictures of another shape than its own."""
        if tuple(picture_shape) != self.picture_shape:
            raise ValueError(
                f"these latents are of pictures {list(self.picture_shape)}, and the data set has "
                f"{list(picture_shape)}: encode it anew (dvc repro encode)"
            )
        return self.shape

    def encode(
        self, stored: np.ndarray, mirrored: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Moments [N, 2, 2c, h, w] (plain, mirrored; means, deviations) -> x float32 [N, c, h, w].

        noise: eps, unit normal [N, c, h, w]; None: 0.
        """
        sides = (
            np.zeros(len(stored), np.int64) if mirrored is None else mirrored.numpy().astype(int)
        )
        chosen = torch.from_numpy(stored[np.arange(len(stored)), sides].astype(np.float32))
        latents, deviation = chosen.chunk(2, dim=1)  # each [N, c, h, w]
        if noise is not None:
            latents = latents + deviation * noise
        mean, std = self._constants(latents)
        return (latents - mean) * (STD / std)

    def shown_shape(self, data_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """That of the pictures that its autoencoder encodes."""
        return self.picture_shape

    @torch.no_grad()
    def of_pictures(self, pictures: np.ndarray) -> Tensor:
        """uint8 [N, H, W, C] -> the mean of their data, float32 [N, c, h, w], by the autoencoder.

        Raises WeightsError where that is not found.
        """
        means = self.network.cpu().encode(to_float(pictures)).mean.float()
        mean, std = self._constants(means)
        return (means - mean) * (STD / std)

    def latents(self, data: Tensor) -> Tensor:
        """Data x [N, c, h, w] -> latents as the autoencoder gives them."""
        mean, std = self._constants(data)
        return data * (std / STD) + mean

    def pictures(self, data: Tensor) -> Tensor:
        """Data [N, c, h, w] -> decoded pictures float [N, C, H, W] in [-1, 1], differentiable."""
        network = self.network.to(data.device)
        latents = self.latents(data.to(torch.promote_types(data.dtype, torch.float32)))
        if self.exchange is not None:
            return decode_in_bands(network, latents, self.exchange)
        return network.decode(latents)

    @torch.no_grad()
    def decode(self, data: Tensor) -> np.ndarray:
        """Data [N, c, h, w] -> pictures uint8 [N, H, W, C], decoded on the GPU if there is one."""
        device = "cuda" if torch.cuda.is_available() else data.device
        channels, height, width = self.picture_shape
        parts = data.float().split(pictures_at_once(height, width))
        decoded = [to_uint8(self.pictures(part.to(device))) for part in parts]
        empty = np.empty((0, height, width, channels), np.uint8)
        return np.concatenate(decoded) if len(data) else empty

    def clip(self, data: Tensor) -> Tensor:
        """The data themselves: latents have no bounds."""
        return data

    def look_near(self, path: Path) -> None:
        """Look for the autoencoder near this file or folder; the latest place comes first."""
        self._near.insert(0, Path(path))

    def describe(self) -> dict[str, Any]:
        """Its constants, and the hash of the autoencoder."""
        return {
            "kind": self.kind,
            "autoencoder": self.autoencoder,
            "pictures": list(self.picture_shape),
            "shape": list(self.shape),
            "mean": list(self.mean),
            "std": list(self.std),
            "random": self.random,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "LatentCodec":
        """The inverse of `describe`. Raises ValueError for what describes no latents."""
        try:
            pictures, shape = (
                image_shape({"image_shape": description[key]}) for key in ("pictures", "shape")
            )
            mean, std = (tuple(map(float, description[key])) for key in ("mean", "std"))
            name, random = str(description["autoencoder"]), bool(description["random"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"codec latent is incomplete ({error})") from error
        if not len(mean) == len(std) == shape[0]:
            raise ValueError("codec latent has other than one mean and deviation for each channel")
        if not all(map(math.isfinite, mean)) or not all(0 < value < math.inf for value in std):
            raise ValueError("codec latent has constants that are no means and deviations")
        return cls(name, pictures, shape, mean, std, random)

    def find(self) -> Path:
        """The file of the autoencoder whose hash the latents know.

        Looked for beside the weights, in a folder `autoencoder` there or further up, and in
        `outputs` of the project. Raises WeightsError if there is none, or only others.
        """
        places = [place for near in (*self._near, Path("outputs")) for place in _places(near)]
        files = [path for path in dict.fromkeys(places) if path.is_file()]
        for path in files:
            if autoencoder_hash(path) == self.autoencoder:
                return path
        wanted = f"the autoencoder {self.autoencoder[:12]}... of these latents"
        if files:
            raise WeightsError(
                f"{files[0]} is not {wanted} (it is {autoencoder_hash(files[0])[:12]}...), and "
                f"another would decode them into noise: put the right {FILE} beside the weights"
            )
        where = self._near[0] if self._near else Path("outputs")
        raise WeightsError(
            f"{wanted} is not there: put {FILE} and its .json beside {where}, or make it again "
            "with the same params (dvc repro autoencoder)"
        )

    @property
    def network(self) -> Autoencoder:
        """The autoencoder, loaded when it is first asked for. Raises WeightsError; see `find`."""
        if self._network is None:
            self._network = load_autoencoder(self.find())
        return self._network

    def _constants(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """m_c and s_c, each [c, 1, 1]."""
        mean, std = like.new_tensor(self.mean), like.new_tensor(self.std)
        return mean[:, None, None], std[:, None, None]


def _places(near: Path) -> list[Path]:
    """Where an autoencoder may lie for weights at `near`, the closest first."""
    near = near.absolute()
    folder = near.parent if near.suffix else near
    found = [folder / FILE]
    for place in (folder, *folder.parents[:_UP]):
        found += [place / "autoencoder" / FILE, place / "outputs" / "autoencoder" / FILE]
    return found


@contextmanager
def decoded_in_bands(codec: object, exchange: Exchange | None) -> Iterator[None]:
    """Inside, latents are decoded over the exchange; a codec of pixels has nothing to decode."""
    if not isinstance(codec, LatentCodec):
        yield
        return
    codec.exchange = exchange
    try:
        yield
    finally:
        codec.exchange = None
