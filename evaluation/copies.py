"""Counts near-copies among real images, and words what a reader must know of copies.

A copy is not independent of its original: among copies each neighbour is at distance 0, so floors
of metrics rise until visibly worse images fall below them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.features import image_chunks
from evaluation.sheets.labelled import labelled_sheet
from foundation.atomic_files import replacing, write_text

SIDE = 16
"""Side of the grey picture by which near-copies are found."""
ALIKE = 0.995
"""Correlation of two such pictures from which they are near-copies."""
FLAT = 2.0
"""Standard deviation (grey levels) below which a picture shows too little to be compared."""
MOST_LOOKED_AT = 1024
"""Of more images, as many are looked at, evenly spaced. Each is compared with all others."""
AT_ONCE = 512

MOST_PAIRS, MOST_SHOWN = 200, 40
"""Pairs in the table, and on the sheet."""
CSV, SHEET = "near_copies.csv", "near_copies.png"

Pair = tuple[int, int]
"""Indices of two images of the data set, the lower one first."""
Progress = Callable[[int, int], None]


def near_copies(
    images: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    progress: Progress | None = None,
) -> tuple[dict[str, int], list[Pair]]:
    """How many real images are nearly the same picture as another one.

    The other may be mirrored, turned by quarter turns, brighter, of more contrast, noisier or
    compressed anew; other cuts of a picture are not found.

    Args:
        images: uint8 [*, H, W, C], square ones.
        train, held_out: indices of the two sides of the split, without copies.

    Returns:
        "looked_at": number of images; "near_copies": how many of them have a near-copy;
        "near_copies_across_split": how many have one on the other side of the split; and the first
        MOST_PAIRS pairs. At few pixels simple shapes look alike too, so these may be near-copies.
    """
    order = np.concatenate([train, held_out])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = min(len(order), MOST_LOOKED_AT)
    rows = np.arange(count) * len(order) // count  # evenly spaced
    square = _pictures(images[order[rows]]).view(count, SIDE, SIDE)
    turned = [torch.rot90(square, turns, (1, 2)) for turns in range(4)]
    seen = torch.stack([*turned, *(part.flip(2) for part in turned)]).flatten(2).to(device)
    own_side, number = (torch.from_numpy(part)[:, None] for part in (rows >= len(train), rows))
    found, across = torch.zeros(2, count, dtype=torch.bool)
    done, pairs = 0, dict[tuple[int, int], None]()
    for start, chunk in image_chunks(images, order):
        for others in _pictures(chunk).split(AT_ONCE):
            other = torch.arange(start, start + len(others))
            start += len(others)
            alike = (seen @ others.to(device).T >= ALIKE).any(0).cpu()  # [count, others]
            alike &= other != number  # an even picture is its own mirror image
            found |= alike.any(1)
            for row, column in alike.nonzero().tolist():
                if len(pairs) == MOST_PAIRS:
                    break
                two = int(order[rows[row]]), int(order[other[column]])
                pairs[min(two), max(two)] = None
            across |= (alike & ((other >= len(train)) != own_side)).any(1)
        done += len(chunk)
        if progress is not None:
            progress(done, len(order))
    counts = {
        "looked_at": count,
        "near_copies": int(found.sum()),
        "near_copies_across_split": int(across.sum()),
    }
    return counts, list(pairs)


def write_pairs(folder: Path, pairs: Sequence[Pair], images: np.ndarray) -> None:
    """Write near_copies.csv, with the indices of each pair, and near_copies.png, which shows them.

    images: uint8 [*, H, W, C], in which the indices count. Without pairs no file is written.
    """
    if not pairs:
        return
    lines = [f"{first},{second}" for first, second in pairs]
    write_text(folder / CSV, "\n".join(["image,other", *lines]) + "\n")
    shown = pairs[:MOST_SHOWN]
    sheet = labelled_sheet(
        np.stack([images[list(pair)] for pair in shown]),
        [f"{first}, {second}" for first, second in shown],
        ["image", "other"],
        "pairs that may be near-copies",
    )
    with replacing(folder / SHEET) as temporary:
        sheet.save(temporary, "PNG")


def copy_notes(copies: Mapping[str, int]) -> list[str]:
    """What a reader must know of the copies in a data set; [] if there are none.

    copies: "merged_train" and "merged_held_out" (images left out), and what `near_copies` returns.
    """
    notes = []
    train, held_out = copies["merged_train"], copies["merged_held_out"]
    if train or held_out:
        notes.append(
            f"{train} training and {held_out} held-out images are copies, equal to another image "
            "in every pixel: each picture counts once"
        )
    if copies["near_copies"]:
        notes.append(
            f"{copies['near_copies']} of {copies['looked_at']} real images looked at may have a "
            "near-copy (mirrored, turned, brighter, noisier or compressed anew), "
            f"{copies['near_copies_across_split']} of them on the other side of the split; they "
            f"count as independent images: look at outputs/reference/{SHEET}, and leave what are "
            "copies out of the data (simple shapes look alike at few pixels)"
        )
    return notes


def _pictures(chunk: np.ndarray) -> Tensor:
    """Grey pictures [B, SIDE * SIDE] of mean 0 and length 1; zeros where nothing is seen."""
    grey = torch.from_numpy(np.asarray(chunk)).float().mean(3)[:, None]
    small = F.adaptive_avg_pool2d(grey, SIDE).flatten(1)
    small = small - small.mean(1, keepdim=True)
    length = small.norm(dim=1, keepdim=True)
    return torch.where(length >= FLAT * SIDE, small / length.clamp_min(1e-12), torch.zeros(()))
