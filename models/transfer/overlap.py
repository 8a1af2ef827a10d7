"""Copies what tensors of other shapes have in common, so that a network begins as another does.

A row of a magnitude-preserving layer acts by its direction alone. So a copied row keeps its
direction among the inputs that both networks have, reads nothing of the further ones, and has unit
root mean square over all: where widths alone grow, each of the old channels is computed as before,
and the new ones are at first read by new ones only. (Only the pixel norm sees both.) Vectors of
classes and words are kept in those of their numbers that both have, and are fresh in the others,
since an input of fewer numbers would not have unit magnitude.

Source of the idea: Net2Net (arXiv 1511.05641), which copies channels; sums of equal channels do not
keep their magnitude here.
"""

import json
from dataclasses import replace

import torch
from torch import Tensor

from models.backbones.base import Backbone
from models.backbones.table import BACKBONES
from models.config import ModelConfig
from models.denoiser import Denoiser
from models.layers.magnitude_preserving import MPConv
from models.transfer.blocks import Pair, block, first_numbers
from models.transfer.copied import Taken
from models.transfer.image_channels import with_image_channels
from models.transfer.labels import (
    LABELS,
    WORDS,
    of_labels,
    same_classes,
    same_words,
)
from models.transfer.layouts import (
    Layout,
    block_moves,
    layout_of,
    layouts,
    moved,
    positions,
)
from models.transfer.stored import Stored
from models.weights import image_shape


def overlapping(denoiser: Denoiser, stored: Stored) -> tuple[dict[str, Taken], list[str]]:
    """What each tensor takes over, by name, and the names of stored ones that have no place.

    Raises ValueError where the description is of no network.
    """
    source = stored_network(stored)
    moves = block_moves(source, denoiser.unet)
    names = {name: moved(name, moves) for name in stored.tensors}
    tensors = {to: stored.tensors[name] for name, to in names.items() if to is not None}
    there = {moved(name, moves) or "": layout for name, layout in layouts(source).items()}
    here = layouts(denoiser.unet)
    as_stored = dict(tensors)
    tensors = with_image_channels(tensors, denoiser.image_shape[0])
    if (denoiser.config.text is None) != (stored.description.get("text") is None):
        tensors = {name: t for name, t in tensors.items() if not of_labels(name)}

    taken: dict[str, Taken] = {}
    for name, own in denoiser.state_dict().items():
        tensor = tensors.get(name)
        if tensor is None or tensor.ndim != own.ndim:
            continue
        one: Taken | None
        if own.ndim < 2:
            one = first_numbers(own, tensor)
        elif ".adapters." in name:
            one = Taken(tensor, own.numel(), True) if tensor.shape == own.shape else None
        else:
            pair = layout_of(name, own.shape, here), layout_of(name, tensor.shape, there)
            one = _of_weight(denoiser, stored, name, own, tensor, pair)
        if one is not None:
            taken[name] = replace(one, whole=one.whole and tensor is as_stored[name])
    left = [name for name, to in names.items() if to not in taken]
    return taken, left


def _of_weight(
    denoiser: Denoiser,
    stored: Stored,
    name: str,
    own: Tensor,
    tensor: Tensor,
    laid_out: tuple[Layout, Layout],
) -> Taken | None:
    """What a weight [R, C, ...] takes over of the stored one; None: nothing."""
    here, there = laid_out
    rows, columns = positions(here.rows, there.rows), positions(here.columns, there.columns)
    of_classes = name == LABELS and denoiser.config.text is None
    if of_classes:
        columns = same_classes(own.shape[1], denoiser.label_names, tensor.shape[1], stored.names)
    elif name == WORDS:
        rows = same_words(denoiser, stored.description) or rows
    if own.shape == tensor.shape and _all(rows, own.shape[0]) and _all(columns, own.shape[1]):
        return Taken(tensor, own.numel(), True)
    if not (len(rows[0]) and len(columns[0])):
        return None
    layer = denoiser.get_submodule(name.rpartition(".")[0])
    silent = isinstance(layer, MPConv) and not of_classes
    return block(own, tensor, rows, columns, silent=silent)


def stored_network(stored: Stored) -> Backbone:
    """The network of stored weights, on the meta device, where it takes no memory.

    Raises ValueError where the description is of no network.
    """
    try:
        config = ModelConfig.model_validate_json(json.dumps(stored.description["config"]))
        label = stored.tensors.get(LABELS)
        width = 0 if label is None else label.shape[1]
        with torch.device("meta"):
            return BACKBONES[config.backbone](image_shape(stored.description), width, config)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        summary = "; ".join(line.strip() for line in str(error).splitlines()[:3])[:200]
        raise ValueError(f"describes no denoiser of this version: {summary}") from error


def _all(pair: Pair, size: int) -> bool:
    """Whether each position of the own dimension takes the same position of the stored one."""
    return len(pair[0]) == size and torch.equal(*pair)
