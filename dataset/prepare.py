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
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from dataset.classes import trained_classes
from dataset.config import DatasetConfig
from dataset.errors import DatasetError
from dataset.names import readable
from dataset.npy_stream import NpyStream
from dataset.read_ahead import read_ahead
from dataset.sources.record import Source
from dataset.sources.table import SOURCES
from dataset.split import hash_split, image_hash
from foundation.atomic_files import sync_folder

FILES = ("images.npy", "labels.npy", "split.npy", "dataset.json")

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
    temporary = {name: out / f"{name}.tmp" for name in FILES}
    try:
        with SOURCES[config.source].open(config, roots) as source:
            streamed = _stream(source, config, temporary["images.npy"], progress)
            manifest = _describe(source, config, streamed, temporary)
        (out / "dataset.json").unlink(missing_ok=True)  # from here on the old set is incomplete
        for name, file in temporary.items():
            os.replace(file, out / name)
        sync_folder(out)
    finally:
        for file in temporary.values():
            file.unlink(missing_ok=True)
    return manifest


@dataclass
class _Streamed:
    """What is known of the images once they are written."""

    item_shape: tuple[int, ...] = ()  # (H, W, C)
    labels: list[int] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    sums: Any = 0  # int64 [C], exact
    squares: Any = 0  # int64 [C], exact
    digest: Any = field(default_factory=hashlib.sha256)


def _stream(
    source: Source, config: DatasetConfig, file: Path, progress: Progress | None
) -> _Streamed:
    """Write all readable images of the source to `file`, in order and without holes."""
    if source.count == 0:
        raise DatasetError(f"dataset: {config.path or config.name} holds no images: name another")
    kept = _Streamed()
    first = ""
    # Filters hold for all threads. Pillow remarks on odd but readable files.
    with warnings.catch_warnings(), NpyStream(file) as stream:
        warnings.filterwarnings("ignore", module="PIL")
        with closing(read_ahead(source.records, config)) as images:
            for record, pixels in images:
                if isinstance(pixels, str):
                    kept.skipped.append({"file": readable(record.name), "reason": pixels})
                else:
                    first = first or record.name
                    kept.item_shape = kept.item_shape or pixels.shape
                    if pixels.shape != kept.item_shape:
                        raise _mixed_channels(first, record.name, pixels.shape[2])
                    data = stream.append(pixels)
                    kept.digest.update(data)
                    kept.hashes.append(image_hash(data))
                    kept.labels.append(record.label)
                    wide = pixels.astype(np.int64)
                    kept.sums += wide.sum((0, 1))
                    kept.squares += (wide**2).sum((0, 1))
                if progress is not None:
                    progress(len(kept.labels) + len(kept.skipped), source.count)
        if not kept.labels or len(kept.skipped) > config.max_bad_fraction * source.count:
            raise _too_many_bad(config, kept.skipped, source.count)
    return kept


def _describe(
    source: Source, config: DatasetConfig, kept: _Streamed, files: dict[str, Path]
) -> dict[str, Any]:
    """Write labels, split and dataset.json."""
    split = hash_split(np.array(kept.hashes, dtype=np.uint64), config.held_out)
    known = [readable(name) for name in source.label_names]
    classes = trained_classes(known, np.array(kept.labels, dtype=np.int64), split)
    names, labels, untrained = classes.names, classes.labels, classes.untrained
    for array, name in ((labels, "labels.npy"), (split, "split.npy")):
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
        "remarks": [*source.remarks, *classes.remarks()],
        "versions": {"numpy": np.__version__, "pillow": PIL.__version__},
    }
    with files["dataset.json"].open("w", encoding="utf-8") as file:
        file.write(json.dumps(manifest, indent=2) + "\n")
        _sync(file)
    return manifest


def _too_many_bad(config: DatasetConfig, skipped: list[dict[str, str]], count: int) -> DatasetError:
    shown = ", ".join(f"{item['file']} ({item['reason']})" for item in skipped[:3])
    return DatasetError(
        f"dataset: {len(skipped)} of {count} images of {config.path or config.name} cannot be read "
        f"(max_bad_fraction is {config.max_bad_fraction:g}), first {shown}: mend or remove them"
        + (", or raise max_bad_fraction" if len(skipped) < count else "")
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
