"""Contact sheets of generated images, alone or beside the training images nearest to them."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from evaluation.sheets.fonts import default_font
from evaluation.sheets.tiles import GAP, INK, MARGIN, PAPER, RULE, as_tiles, row_names

WIDEST_LINE = 12
"""Tiles of a class in a line at most; with more, a page would shrink them."""


def sample_grid(
    images: np.ndarray,
    columns: int | None = None,
    scale: int | None = None,
    labels: Sequence[int] | np.ndarray | None = None,
    label_names: Sequence[str] | None = None,
) -> Image.Image:
    """A sheet of images; with labels, a row for each class with its name in front.

    Args:
        images: uint8 [N, H, W, C], C 1 or 3.
        columns: tiles in a line; default: as many as lines. With labels, images of a class;
            default: the median number of images of a class, at least 4, and on several lines of at
            most WIDEST_LINE where they are more.
        scale: enlargement by a whole factor; default: to about TILE pixels.
        labels: int64 [N]. Ignored if all are -1, or if classes have fewer than 4 images on average.
        label_names: names of the labels; default: their numbers. Where no font on this machine has
            the letters of a name, its row says "class" and the number.
    """
    tiles = as_tiles(images, scale)
    rows: list[tuple[int, np.ndarray]] = []
    if labels is not None:
        rows = _class_rows(np.asarray(labels), columns)
        if columns is None:
            rows = _wrapped(rows)
    if not rows:
        columns = columns or int(np.ceil(np.sqrt(len(tiles))))
        numbers = np.arange(len(tiles))
        rows = [(-1, numbers[i : i + columns]) for i in range(0, len(tiles), columns)]
    names, fonts = row_names([label for label, _ in rows], label_names)
    # A class is named before its first line.
    firsts = [i == 0 or rows[i - 1][0] != label for i, (label, _) in enumerate(rows)]
    names = [name if first else "" for name, first in zip(names, firsts, strict=True)]
    lengths = (font.getlength(name) for name, font in zip(names, fonts, strict=True) if name)
    left = max((int(length) + 8 for length in lengths), default=0)
    height, width = tiles.shape[1] + GAP, tiles.shape[2] + GAP
    most = max(len(members) for _, members in rows)
    sheet = Image.new(
        "RGB",
        (2 * MARGIN + left + most * width - GAP, 2 * MARGIN + len(rows) * height - GAP),
        PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for row, (name, font, (_, members)) in enumerate(zip(names, fonts, rows, strict=True)):
        top = MARGIN + row * height
        if name:
            middle = top + tiles.shape[1] // 2
            draw.text((MARGIN + left - 8, middle), name, fill=INK, font=font, anchor="rm")
        for column, i in enumerate(members):
            sheet.paste(Image.fromarray(tiles[i]), (MARGIN + left + column * width, top))
    return sheet


def nearest_grid(
    samples: np.ndarray,
    images: np.ndarray,
    indices: np.ndarray,
    *,
    sample_features: np.ndarray | None = None,
    train_features: np.ndarray | None = None,
    columns: int | None = None,
    scale: int | None = None,
) -> Image.Image:
    """A sheet with each sample beside its nearest training image, which shows copies.

    Nearest in pixels and, if features are given, also the nearest in features.

    Args:
        samples: uint8 [N, H, W, C].
        images: uint8 [*, H, W, C], a memory map.
        indices: int64 [M], the training images among them.
        sample_features, train_features: [N, F] and [M, F], in the order of samples and indices.
        columns: samples side by side.
        scale: enlargement by a whole factor; default: to about TILE pixels.
    """
    found = [images[indices[nearest_image(samples, images, indices)]]]
    captions = ["sample", "pixels"]
    if sample_features is not None and train_features is not None:
        found.append(images[indices[nearest_feature(sample_features, train_features)]])
        captions.append("features")
    parts = [as_tiles(part, scale) for part in (samples, *found)]  # 2 or 3 of [N, h, w, 3]
    count, height, width, _ = parts[0].shape
    across = len(parts)
    columns = min(count, columns or max(1, round(np.sqrt(count / across))))
    rows = -(-count // columns)
    font = default_font(min(12, max(8, width // 5)))
    head = int(font.size) + 8
    group = across * (width + GAP) + 10
    sheet = Image.new(
        "RGB",
        (2 * MARGIN + columns * group - 10 - GAP, 2 * MARGIN + head + rows * (height + GAP) - GAP),
        PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for i in range(count):
        x, y = MARGIN + (i % columns) * group, MARGIN + head + (i // columns) * (height + GAP)
        for part, tiles in enumerate(parts):
            sheet.paste(Image.fromarray(tiles[i]), (x + part * (width + GAP), y))
    for column in range(columns):
        x = MARGIN + column * group
        for part, caption in enumerate(captions):
            middle = x + part * (width + GAP) + width // 2
            draw.text((middle, MARGIN), caption, fill=INK, font=font, anchor="ma")
        if column:
            draw.line([(x - 6, MARGIN), (x - 6, sheet.height - MARGIN)], fill=RULE)
    return sheet


def nearest_image(
    samples: np.ndarray, images: np.ndarray, indices: np.ndarray, chunk: int = 4096
) -> np.ndarray:
    """Position in `indices` of the image nearest to each sample in pixels (Euclidean) [N].

    It is exact, as pixels are whole numbers; of equally near images the first is taken.
    """
    chunk = max(1, min(chunk, (1 << 24) // max(1, samples[0].size)))
    parts = (images[indices[i : i + chunk]] for i in range(0, len(indices), chunk))
    return _row_of_nearest(samples.reshape(len(samples), -1), parts)


def nearest_feature(queries: np.ndarray, features: np.ndarray, chunk: int = 4096) -> np.ndarray:
    """Rows [N] of `features` [M, F] nearest to queries [N, F], in float64; the first of equals."""
    return _row_of_nearest(
        queries, (features[i : i + chunk] for i in range(0, len(features), chunk))
    )


def _row_of_nearest(queries: np.ndarray, chunks: Iterable[np.ndarray]) -> np.ndarray:
    """Row of the nearest candidate [N] for queries [N, F]; candidates [M, F] come in chunks."""
    import torch

    from models.neighbours import nearest_in

    wanted = torch.from_numpy(queries.astype(np.float64))
    best = torch.full((len(wanted),), torch.inf, dtype=torch.float64)
    row = torch.zeros(len(wanted), dtype=torch.int64)
    start = 0
    for chunk in chunks:
        part = torch.from_numpy(np.asarray(chunk).reshape(len(chunk), -1).astype(np.float64))
        found = nearest_in(wanted, part, 1)[:, 0]
        distance = (wanted - part[found]).square().sum(dim=1)
        closer = distance < best
        best[closer], row[closer] = distance[closer], found[closer] + start
        start += len(part)
    return row.numpy()


def _wrapped(rows: Sequence[tuple[int, np.ndarray]]) -> list[tuple[int, np.ndarray]]:
    """The rows on lines of equal length, at most WIDEST_LINE; classes begin a line."""
    most = max((len(members) for _, members in rows), default=0)
    if most <= WIDEST_LINE:
        return list(rows)
    width = -(-most // -(-most // WIDEST_LINE))
    return [
        (label, members[i : i + width])
        for label, members in rows
        for i in range(0, len(members), width)
    ]


def _class_rows(labels: np.ndarray, columns: int | None) -> list[tuple[int, np.ndarray]]:
    """(label, image numbers) per row; [] if all labels are -1 or there are too many classes."""
    present = np.unique(labels)
    if present.max(initial=-1) < 0 or len(present) * 4 > len(labels):
        return []
    columns = columns or max(4, int(np.median(np.unique(labels, return_counts=True)[1])))
    return [(int(label), np.flatnonzero(labels == label)[:columns]) for label in present]
