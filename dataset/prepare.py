"""Turn a source into outputs/dataset: images.npy, labels.npy, split.npy and dataset.json.

Images are written one by one, so memory does not hold them all: only each one's label and hash.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from dataset.caption_numbers import NumberedCaptions, number_captions
from dataset.classes import trained_classes
from dataset.config import DatasetConfig
from dataset.errors import DatasetError
from dataset.names import readable
from dataset.npy_stream import NpyStream
from dataset.read_ahead import Square, coloured, read_ahead
from dataset.sources.record import Source
from dataset.sources.table import SOURCES
from dataset.split import hash_split, image_hash
from dataset.suffixes import count_by_suffix, in_words
from foundation.atomic_files import naming, sync_folder

FILES = ("images.npy", "labels.npy", "split.npy", "dataset.json")
OF_CAPTIONS = ("groups.npy", "captions.json")
"""Further files of a data set with captions."""

Progress = Callable[[int, int | None], None]


def prepare_dataset(
    config: DatasetConfig,
    out: Path,
    progress: Progress | None = None,
    *,
    roots: tuple[Path, ...] = (Path("."),),
) -> dict[str, Any]:
    """Write the data set into the folder `out` and return what dataset.json holds.

    progress(done, total) is called after each image. Relative paths of `config` are looked up in
    each of `roots` in turn. Files appear complete or not at all, dataset.json last.
    Raises DatasetError, and leaves what lay in `out` before, when the source cannot be used.
    """
    out.mkdir(parents=True, exist_ok=True)
    further = OF_CAPTIONS if config.captions is not None else ()
    temporary = {name: out / f"{name}.tmp" for name in (*further, *FILES)}
    try:
        with naming(out):
            try:
                manifest = _write(config, roots, temporary, progress)
            except _ColourAfterPalettes:
                manifest = _write(config, roots, temporary, progress, palettes_in_colour=True)
        for name in ("dataset.json", *OF_CAPTIONS):
            (out / name).unlink(missing_ok=True)  # from here on the old set is incomplete
        for name, file in temporary.items():
            os.replace(file, out / name)
        sync_folder(out)
    finally:
        for file in temporary.values():
            file.unlink(missing_ok=True)
    return manifest


class _ColourAfterPalettes(DatasetError):
    """A colour image came after greys from palettes alone, which were written as grey."""


def _write(
    config: DatasetConfig,
    roots: tuple[Path, ...],
    files: dict[str, Path],
    progress: Progress | None,
    palettes_in_colour: bool = False,
) -> dict[str, Any]:
    with SOURCES[config.source].open(config, roots) as source:
        kept = _Streamed()
        if palettes_in_colour:
            kept.item_shape = (config.resolution, config.resolution, 3)
        _stream(source, config, kept, files["images.npy"], progress)
        return _describe(source, config, kept, files)


@dataclass
class _Streamed:
    """What is known of the images once they are written."""

    item_shape: tuple[int, ...] = ()  # (H, W, C)
    first: str = ""  # the first image that is surely grey, or surely colour
    labels: list[int] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    sums: Any = 0  # int64 [C], exact
    squares: Any = 0  # int64 [C], exact
    digest: Any = field(default_factory=hashlib.sha256)


def _stream(
    source: Source, config: DatasetConfig, kept: _Streamed, file: Path, progress: Progress | None
) -> None:
    """Write all readable images of the source to `file`, in order and without holes."""
    if source.count == 0:
        raise DatasetError(f"dataset: {config.path or config.name} holds no images: name another")
    # Filters hold for all threads. Pillow remarks on odd but readable files.
    with warnings.catch_warnings(), NpyStream(file) as stream:
        warnings.filterwarnings("ignore", module="PIL")
        # An icon may hold a picture far larger than its header says.
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        with closing(read_ahead(source.records, config)) as images:
            for record, square in images:
                if isinstance(square, str):
                    kept.skipped.append({"file": readable(record.name), "reason": square})
                else:
                    pixels = _of_one_kind(record.name, square, kept)
                    data = stream.append(pixels)
                    kept.digest.update(data)
                    kept.hashes.append(image_hash(data))
                    kept.labels.append(record.label)
                    kept.captions.append(readable(record.caption))
                    wide = pixels.astype(np.int64)
                    kept.sums += wide.sum((0, 1))
                    kept.squares += (wide**2).sum((0, 1))
                if progress is not None:
                    progress(len(kept.labels) + len(kept.skipped), source.count)
        if not kept.labels or len(kept.skipped) > config.max_bad_fraction * source.count:
            raise _too_many_bad(config, kept.skipped, source.count)


def _of_one_kind(name: str, square: Square, kept: _Streamed) -> np.ndarray:
    """The image's pixels with the channels that all others have, or an error of a mix."""
    pixels = square.pixels
    kept.item_shape = kept.item_shape or pixels.shape
    if square.grey_or_colour:
        return coloured(pixels) if kept.item_shape[2] == 3 else pixels
    if pixels.shape != kept.item_shape:
        if not kept.first:
            raise _ColourAfterPalettes("dataset: images changed while read: run prepare again")
        raise _mixed_channels(kept.first, name, pixels.shape[2])
    kept.first = kept.first or name
    return pixels


def _describe(
    source: Source, config: DatasetConfig, kept: _Streamed, files: dict[str, Path]
) -> dict[str, Any]:
    """Write labels, split and dataset.json; with captions, these and the images' groups too."""
    split = hash_split(np.array(kept.hashes, dtype=np.uint64), config.held_out)
    known = [readable(name) for name in source.label_names]
    classes = trained_classes(known, np.array(kept.labels, dtype=np.int64), split)
    names, labels, untrained = classes.names, classes.labels, classes.untrained
    arrays, captions = [(labels, "labels.npy"), (split, "split.npy")], None
    if config.captions is not None:
        captions = _captions(config, kept, split, files["captions.json"])
        arrays = [(captions.labels, "labels.npy"), (labels, "groups.npy"), (split, "split.npy")]
    for array, name in arrays:
        with files[name].open("wb") as file:
            np.save(file, array, allow_pickle=False)
            _sync(file)
        kept.digest.update(array.tobytes())
    if untrained:
        kept.digest.update(np.array(classes.unjudged, dtype=np.int64).tobytes())
    num_pixels = len(labels) * config.resolution**2
    mean = kept.sums / num_pixels
    std = np.sqrt(np.maximum(kept.squares / num_pixels - mean**2, 0))
    manifest = {
        "source": config.source,
        "path": config.path,
        "name": config.name,
        "num_images": len(labels),
        "num_distinct": len(set(kept.hashes)),
        "num_train": int((split == 0).sum()),
        "num_held_out": int((split == 1).sum()),
        "held_out": config.held_out,
        "resolution": config.resolution,
        "channels": kept.item_shape[2],
        "num_classes": len(names),
        "label_names": names,
        "class_counts": np.bincount(labels[labels >= 0], minlength=len(names)).tolist(),
        "num_unlabelled": int((labels < 0).sum()),
        "empty_classes": [n for n in known if n not in names and n not in untrained],
        "untrained_classes": untrained,
        "resize": config.resize,
        "background": config.background,
        "mean": (mean / 127.5 - 1).tolist(),
        "std": (std / 127.5).tolist(),
        "content_hash": kept.digest.hexdigest(),
        "skipped": kept.skipped,
        "remarks": [
            *source.remarks,
            *classes.remarks(),
            *([] if captions is None else captions.remarks()),
        ],
        "other_files": count_by_suffix(source.other_files),
        "versions": {"numpy": np.__version__, "pillow": PIL.__version__},
    }
    if captions is not None:
        manifest["num_captions"] = len(captions.captions)
    with files["dataset.json"].open("w", encoding="utf-8") as file:
        file.write(json.dumps(manifest, indent=2) + "\n")
        _sync(file)
    return manifest


def _captions(
    config: DatasetConfig, kept: _Streamed, split: np.ndarray, file: Path
) -> NumberedCaptions:
    """Number the captions of the images that could be read, and write captions.json."""
    numbered = number_captions(kept.captions, split)
    if not numbered.trained:
        raise DatasetError(
            f"dataset.captions: no training image of {config.path or config.name} has a caption: "
            "give captions to more images, or set dataset.captions to null"
        )
    content = {"captions": numbered.captions, "trained": numbered.trained}
    with file.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(content, indent=0, ensure_ascii=False) + "\n")
        _sync(stream)
    kept.digest.update(json.dumps(content).encode())
    return numbered


def _too_many_bad(config: DatasetConfig, skipped: list[dict[str, str]], count: int) -> DatasetError:
    shown = ", ".join(
        f"{', '.join(item['file'] for item in alike)} ({reason})"
        for reason, alike in groupby(skipped[:3], key=lambda item: item["reason"])
    )
    suffixes = in_words(count_by_suffix(item["file"] for item in skipped))
    return DatasetError(
        f"dataset: {len(skipped)} of {count} images of {config.path or config.name} cannot be read "
        f"({suffixes}; max_bad_fraction is {config.max_bad_fraction:g}), first {shown}: mend or "
        "remove them" + (", or raise max_bad_fraction" if len(skipped) < count else "")
    )


def _mixed_channels(first: str, other: str, other_channels: int) -> DatasetError:
    kinds = ("colour", "grey") if other_channels == 1 else ("grey", "colour")
    return DatasetError(
        f"dataset.channels: auto finds {first} {kinds[0]} but {other} {kinds[1]}: set channels to "
        "1 (all grey) or 3 (all colour)"
    )


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
