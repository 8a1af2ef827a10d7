"""A data set whose pictures are stored as the moments of their latents."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset.errors import DatasetError
from dataset.store import ImageDataset
from foundation.json_files import read_object

if TYPE_CHECKING:
    import torch

MANIFEST = "latents.json"
MOMENTS = "moments.npy"
MIRRORS = 2
"""Stored of each picture: the picture, and its mirror image."""


class LatentDataset(ImageDataset):
    """A prepared data set with the latents that the stage `encode` wrote of it.

    All but `stored`, `codec` and `stored_in` is the picture data set's. Raises DatasetError where
    files are missing or are of another data set.

    latents: content of latents.json
    moments: float16 [N, 2, 2c, h, w], a memory map: picture and mirror image, means and deviations
    """

    def __init__(self, folder: Path | str, latents_folder: Path | str) -> None:
        super().__init__(folder)
        self.latents_folder = Path(latents_folder).absolute()
        self.latents = read_latents(self.latents_folder)
        if self.latents.get("dataset") != self.content_hash:
            raise DatasetError(
                f"{self.latents_folder} holds latents of other images than {self.folder}: run the "
                "encode stage again (dvc repro encode)"
            )
        try:
            channels, height, width = self.latents["codec"]["shape"]
            shape = (len(self), MIRRORS, 2 * channels, height, width)
            path = self.latents_folder / MOMENTS
            self.moments = np.load(path, mmap_mode="r", allow_pickle=False)
        except (KeyError, TypeError, OSError, ValueError, EOFError) as error:
            raise _damaged(self.latents_folder / MOMENTS, f"cannot be read ({error})") from None
        if self.moments.dtype != np.float16 or self.moments.shape != shape:
            found = f"{self.moments.dtype} {self.moments.shape}"
            raise _damaged(path, f"is {found}, latents.json says float16 {shape}")

    def __reduce__(self) -> tuple[type["LatentDataset"], tuple[Path, Path]]:  # type: ignore[override]
        return LatentDataset, (self.folder, self.latents_folder)

    @property
    def codec(self) -> dict[str, Any]:
        """Description of the codec latent: constants, and the autoencoder's hash."""
        return self.latents["codec"]

    @property
    def stored_in(self) -> Path:
        """The folder of the latents."""
        return self.latents_folder

    def stored(
        self, indices: "Sequence[int] | np.ndarray | torch.Tensor"
    ) -> "tuple[np.ndarray, torch.Tensor]":
        """Moments at `indices`, float16 [B, 2, 2c, h, w], and labels int64 [B]."""
        import torch

        rows = np.asarray(indices, dtype=np.int64)
        return self.moments[rows], torch.from_numpy(self.labels[rows])


def read_latents(folder: Path) -> dict[str, Any]:
    """Content of latents.json. Raises DatasetError where it is missing or damaged."""
    path = Path(folder) / MANIFEST
    try:
        found = read_object(path)
    except FileNotFoundError:
        raise DatasetError(
            f"{folder} holds no latents (no {MANIFEST}): run the encode stage (dvc repro encode)"
        ) from None
    except (OSError, ValueError) as error:
        raise _damaged(path, f"cannot be read ({error})") from None
    if not isinstance(found.get("kind"), str):
        raise _damaged(path, "names no kind of autoencoder")
    return found


def open_dataset(folder: Path | str, latents_folder: Path | str | None = None) -> ImageDataset:
    """The data set that a denoiser is trained on: latents if `latents_folder` holds any.

    latents_folder: what the stage `encode` wrote; None, or one of kind none: pixels. Raises
    DatasetError where files are missing or do not fit.
    """
    if latents_folder is None or read_latents(Path(latents_folder))["kind"] == "none":
        return ImageDataset(folder)
    return LatentDataset(folder, latents_folder)


def _damaged(path: Path, what: str) -> DatasetError:
    return DatasetError(f"{path} {what}: run the encode stage again (dvc repro -f encode)")
