"""Features of the images in a folder or zip, each read at its own size."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataset.decoding_memory import picture
from dataset.errors import DamagedImage, DatasetError
from dataset.flatten import flatten
from dataset.read_ahead import loaded_ahead
from dataset.sources.config import SourceConfig
from dataset.sources.image_folder import open_image_folder
from dataset.sources.record import Record
from models.extractors.base import Extractor


@dataclass(frozen=True)
class FolderFeatures:
    """What was read of one folder."""

    features: np.ndarray
    """float32 [N, F], in the order of the files' names."""
    names: list[str]
    """The files' names, [N]."""
    skipped: list[dict[str, str]]
    """Files that could not be read: {"file", "reason"}."""
    sizes: set[tuple[int, int]]
    """(width, height) of the images that were read."""


def folder_features(
    path: Path,
    extractor: Extractor,
    progress: Callable[[int, int], None] | None = None,
) -> FolderFeatures:
    """Put every image below a folder, or in a zip, through the extractor.

    Transparent pixels become white. An ImageNet network gets grey images as three equal channels,
    and each image resized on its own, from the size that it has, as clean-fid does. The classifier
    of a data set takes images of that set's size only.

    Args:
        progress: called with (images read, images in all).

    Raises ValueError if there are no images, or none can be read.
    """
    features, names, skipped = [], [], []
    batch: list[Tensor] = []
    sizes: set[tuple[int, int]] = set()

    def embed() -> None:
        if batch:
            features.append(extractor.embed_batch(extractor.embed, torch.cat(batch)))
            batch.clear()

    config = SourceConfig(source="image_folder", path=str(path))
    try:
        with (
            open_image_folder(config, [Path.cwd()]) as source,
            closing(loaded_ahead(source.records, _loader(extractor, sizes))) as images,
        ):
            for number, (record, prepared) in enumerate(images, 1):
                if isinstance(prepared, str):
                    skipped.append({"file": record.name, "reason": prepared})
                else:
                    names.append(record.name)
                    batch.append(prepared)
                if len(batch) == extractor.at_once:
                    embed()
                if progress is not None:
                    progress(number, source.count)
        embed()
    except DatasetError as error:
        raise ValueError(str(error).removeprefix("dataset.path: ")) from None
    if not names:
        raise ValueError(
            f"{path}: none of its {len(skipped)} images can be read, the first because: "
            f"{skipped[0]['file']}: {skipped[0]['reason']}"
        )
    return FolderFeatures(np.concatenate(features), names, skipped, sizes)


def _loader(extractor: Extractor, sizes: set[tuple[int, int]]) -> Callable[[Record], Tensor | str]:
    """Makes of a record the network's input [1, ...], or the reason why it cannot be read.

    The image's (width, height) is added to `sizes`.
    """
    mode = "L" if extractor.image_shape is not None and extractor.image_shape[0] == 1 else "RGB"

    def load(record: Record) -> Tensor | str:
        try:
            with picture():
                image = flatten(record.load(), "white").convert(mode)
                size = image.size
                pixels = np.array(image).reshape(1, image.height, image.width, -1)
                del image  # its memory is given back
        except DamagedImage as error:
            return str(error)
        sizes.add(size)
        return extractor.prepare(pixels)

    return load
