"""Read access to a prepared data set."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset.caption_numbers import groups_of_labels
from dataset.distinct import pixel_keys
from dataset.errors import DatasetError
from foundation.json_files import read_object

if TYPE_CHECKING:
    import torch


class ImageDataset:
    """The folder that `prepare_dataset` wrote; images stay on disk as a read-only memory map.

    Cheap to pickle: it travels as its folder. Raises DatasetError where files are missing or do
    not fit together.

    folder: absolute path
    manifest: content of dataset.json
    images: uint8 [N, H, W, C]; labels: int64 [N], -1 = unlabelled; split: int8 [N], 1 = held out
    train_indices, held_out_indices: int64, ascending; held-out images of a class without a training
    image are in neither, since nothing generated can be held against them
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        self.manifest = self._read_manifest()
        count, side = self.manifest["num_images"], self.manifest["resolution"]
        self.images = self._load("images", "r", np.uint8, (count, side, side, self._channels))
        self.labels = self._load("labels", None, np.int64, (count,))
        self._captions, self._trained, self._groups = self._read_captions()
        self.split = self._load("split", None, np.int8, (count,))
        self.train_indices = np.flatnonzero(self.split == 0)
        self.held_out_indices = np.flatnonzero(self.split == 1)
        sides = (len(self.train_indices), len(self.held_out_indices))
        if sides != (self.manifest["num_train"], self.manifest["num_held_out"]):
            raise self._damaged("split.npy", "does not have the counts of dataset.json")
        if self.labels.min() < -1 or self.labels.max() >= self.num_classes:
            raise self._damaged("labels.npy", "holds labels that dataset.json does not name")
        self.held_out_indices = np.setdiff1d(self.held_out_indices, self._unjudged())
        arrays = (self.labels, self._groups, self.split, self.train_indices, self.held_out_indices)
        for array in arrays:
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.labels)

    def __reduce__(self) -> tuple[type["ImageDataset"], tuple[Path]]:
        return ImageDataset, (self.folder,)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        side = self.manifest["resolution"]
        return self._channels, side, side

    @property
    def num_classes(self) -> int:
        """How many labels there are, classes or captions; 0 where nothing is labelled."""
        return self.num_groups if self._captions is None else len(self._captions)

    @property
    def label_names(self) -> list[str]:
        """Names of the classes, or the captions."""
        return self.group_names if self._captions is None else self._captions

    @property
    def trained_names(self) -> list[str]:
        """Those of `label_names` that a training image has."""
        return self.label_names[: self._trained]

    @property
    def group_labels(self) -> np.ndarray:
        """int64 [N]: images of one group may be compared with one another; -1 = of no known group.

        A label says what a denoiser is asked for, a group which real images its answers are held
        against. Both are the class, but where labels are captions, of which each may belong to one
        image alone; there the group is the class, or -1 where images have none.
        """
        return self._groups

    @property
    def num_groups(self) -> int:
        """How many groups there are; 0 where none is known."""
        return self.manifest["num_classes"]

    @property
    def group_names(self) -> list[str]:
        """Names of the groups."""
        return self.manifest["label_names"]

    def groups_of(self, labels: np.ndarray) -> np.ndarray:
        """The group of each of the labels int64 [...], -1 for -1 and for captions of several."""
        if self._captions is None:
            return labels
        groups = groups_of_labels(self.labels, self._groups, self.num_classes)
        return np.append(groups, -1)[labels]  # the last one is that of label -1

    @property
    def codec(self) -> dict[str, Any]:
        """Description of the codec that encodes what `stored` gives (models/codecs/)."""
        return {"kind": "none"}

    @property
    def stored_in(self) -> Path:
        """The folder of what `stored` gives."""
        return self.folder

    @property
    def has_copies(self) -> bool:
        """Whether some images are equal to others in every pixel (dataset/distinct.py)."""
        return self.manifest.get("num_distinct", len(self)) < len(self)

    @cached_property
    def train_keys(self) -> np.ndarray | None:
        """uint64 [train images], equal for copies; None where no image is a copy of another."""
        return pixel_keys(self.images, self.train_indices) if self.has_copies else None

    @property
    def content_hash(self) -> str:
        """sha256 of all pixels, labels and the split."""
        return self.manifest["content_hash"]

    def stored(
        self, indices: "Sequence[int] | np.ndarray | torch.Tensor"
    ) -> "tuple[np.ndarray, torch.Tensor]":
        """Pictures at `indices` as they are stored, uint8 [B, H, W, C], and labels int64 [B].

        A denoiser's codec encodes them (models/codecs/).
        """
        import torch  # here, since a data set is also looked at where no network is wanted

        rows = np.asarray(indices, dtype=np.int64)
        return self.images[rows], torch.from_numpy(self.labels[rows])

    @property
    def _channels(self) -> int:
        return self.manifest["channels"]

    def _read_manifest(self) -> dict[str, Any]:
        path = self.folder / "dataset.json"
        try:
            manifest = read_object(path)
        except FileNotFoundError:
            raise DatasetError(
                f"{self.folder} holds no finished data set (no dataset.json): run the prepare stage"
            ) from None
        except (OSError, ValueError) as error:
            raise self._damaged("dataset.json", f"cannot be read ({error})") from None
        needed: dict[str, type] = {
            "num_images": int,
            "num_train": int,
            "num_held_out": int,
            "resolution": int,
        }
        needed |= {"channels": int, "num_classes": int, "label_names": list, "content_hash": str}
        for key, kind in needed.items():
            if not isinstance(manifest.get(key), kind):
                raise self._damaged("dataset.json", f"lacks {key}")
        return manifest

    def _read_captions(self) -> tuple[list[str] | None, int, np.ndarray]:
        """The captions, how many are of training images, and the images' groups."""
        if "num_captions" not in self.manifest:
            return None, self.num_groups, self.labels
        try:
            content = read_object(self.folder / "captions.json")
            captions, trained = content["captions"], content["trained"]
            fit = len(captions) == self.manifest["num_captions"] and 0 < trained <= len(captions)
            fit = fit and all(isinstance(caption, str) for caption in captions)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged("captions.json", f"cannot be read ({error})") from None
        groups = self._load("groups", None, np.int64, (len(self.labels),))
        if not fit or groups.min() < -1 or groups.max() >= self.num_groups:
            raise self._damaged("captions.json", "does not fit dataset.json and groups.npy")
        return captions, trained, groups

    def _unjudged(self) -> np.ndarray:
        """Images of classes without a training image, int64; older data sets name none."""
        try:
            groups = dict(self.manifest.get("untrained_classes", {})).values()
            rows = np.array([row for group in groups for row in group], dtype=np.int64)
            fit = bool((self.split[rows] == 1).all() and (self._groups[rows] == -1).all())
        except (TypeError, ValueError, IndexError, OverflowError):
            fit = False
        if not fit:
            raise self._damaged("dataset.json", "names untrained_classes that do not fit")
        return rows

    def _load(
        self, name: str, mmap_mode: Any, dtype: type[np.generic], shape: tuple[int, ...]
    ) -> np.ndarray:
        try:
            array = np.load(self.folder / f"{name}.npy", mmap_mode=mmap_mode, allow_pickle=False)
        except FileNotFoundError:
            raise self._damaged(f"{name}.npy", "is missing") from None
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(f"{name}.npy", f"cannot be read ({error})") from None
        if array.dtype != dtype or array.shape != shape:
            raise self._damaged(
                f"{name}.npy",
                f"is {array.dtype} {array.shape}, dataset.json says {np.dtype(dtype)} {shape}",
            )
        return array

    def _damaged(self, name: str, what: str) -> DatasetError:
        return DatasetError(f"{self.folder / name} {what}: run the prepare stage again")
