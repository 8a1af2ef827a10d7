"""How outputs and inputs lie in the rows and columns of a network's weights.

Two networks of other widths have the same channels in common where both are cut along these axes:
the queries of a head, say, are not the first third of the rows.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.backbones.transformer import TransformerBlock
from models.backbones.unet import ResidualBlock, UNet
from models.layers.attention import CosineAttention
from models.layers.cross_attention import CrossAttention
from models.layers.graph_conv import GraphConv

Segments = tuple[tuple[int, ...], ...]
"""Parts of a dimension, one after another; each is the axes that are flattened in it."""
INPUT = "unet.input.weight"
_BLOCK = re.compile(r"unet\.(?P<block>(?:encoder|decoder)\.\d+)\.(?P<rest>.+)")


@dataclass(frozen=True)
class Layout:
    """Of one weight [rows, columns, ...]."""

    rows: Segments
    columns: Segments


def layout_of(name: str, shape: Sequence[int], special: Mapping[str, Layout]) -> Layout:
    """That of a weight of this name in the denoiser: its special one, or channels in their order.

    The first layer's columns are image channels and the constant.
    """
    columns = ((shape[1] - 1,), (1,)) if name == INPUT else ((shape[1],),)
    return special.get(name) or Layout(((shape[0],),), columns)


def layouts(unet: nn.Module) -> dict[str, Layout]:
    """{name in the denoiser: layout} of the weights of a network that hold more than one axis."""
    columns: dict[str, Segments] = dict(_joined(unet)) if isinstance(unet, UNet) else {}
    rows: dict[str, Segments] = {}
    for name, module in unet.named_modules():
        if isinstance(module, CosineAttention):
            own = (module.heads, module.width // module.heads)
            rows[f"{name}.qkv"] = ((*own, 3),)
            columns[f"{name}.project"] = (own,)
        elif isinstance(module, CrossAttention):
            own = (module.heads, len(module.query.weight) // module.heads)
            rows[f"{name}.query"] = (own,)
            rows[f"{name}.key_value"] = (own, own)
            columns[f"{name}.project"] = (own,)
        elif isinstance(module, TransformerBlock) and module.join is not None:
            half = len(module.join.weight)
            columns[f"{name}.join"] = ((half,), (half,))
        elif isinstance(module, GraphConv):
            half = module.message.weight.shape[1] // 2
            columns[f"{name}.message"] = ((half,), (half,))
    found = {}
    for name in (*rows, *columns):
        full = f"unet.{name}.weight"
        plain = layout_of(full, unet.get_parameter(f"{name}.weight").shape, {})
        found[full] = Layout(rows.get(name, plain.rows), columns.get(name, plain.columns))
    return found


def _joined(unet: UNet) -> Iterator[tuple[str, Segments]]:
    """Layers whose input is joined of two: that of the block before, and that of a skip."""
    before = unet.middle[-1]
    for number, (block, joins) in enumerate(zip(unet.decoder, unet.takes_skip, strict=True)):
        for name in ("skip", "conv0") if joins else ():
            weight = getattr(getattr(block, name), "weight", None)
            first = getattr(getattr(before, "conv1", None), "weight", None)
            if weight is not None and first is not None:
                segments = ((len(first),), (weight.shape[1] - len(first),))
                yield f"decoder.{number}.{name}", segments
        before = block


def positions(here: Segments, there: Segments) -> tuple[Tensor, Tensor]:
    """Positions of what two dimensions have in common, int64 [n] in each.

    Dimensions of other parts are both taken as one part of one axis.
    """
    if [len(axes) for axes in here] != [len(axes) for axes in there]:
        here, there = (((sum(map(math.prod, segments)),),) for segments in (here, there))
    found: tuple[list[Tensor], list[Tensor]] = ([], [])
    begun = [0, 0]
    for pair in zip(here, there, strict=True):
        both = tuple(slice(min(sizes)) for sizes in zip(*pair, strict=True))
        for side, axes in enumerate(pair):
            index = torch.arange(math.prod(axes)).view(axes)[both].flatten()
            found[side].append(begun[side] + index)
            begun[side] += math.prod(axes)
    return torch.cat(found[0]), torch.cat(found[1])


def block_moves(source: nn.Module, own: nn.Module) -> dict[str, str]:
    """{block of the source: block of the own network at the same level and place there}.

    Levels are counted from full resolution, so that a deeper network has those of a shallower one.
    Names are such as "decoder.3".
    """
    if not (isinstance(source, UNet) and isinstance(own, UNet)):
        return {}
    at = {place: name for name, place in _places(own)}
    return {name: at[place] for name, place in _places(source) if place in at}


def _places(unet: UNet) -> Iterator[tuple[str, tuple[str, int, int]]]:
    """(name, (side, level, place in the level)) of each block; place -1 changes the level."""
    level = place = 0
    for side in ("encoder", "decoder"):
        for number, block in enumerate(getattr(unet, side)):
            assert isinstance(block, ResidualBlock)
            if block.resample != "keep":
                level += 1 if block.resample == "down" else -1
                place = -1
            elif not number:
                place = 0
            yield f"{side}.{number}", (side, level, place)
            place += 1


def moved(name: str, moves: dict[str, str]) -> str | None:
    """The tensor's name in the own network; None where its block has no place there."""
    found = _BLOCK.fullmatch(name)
    if found is None or not moves:
        return name
    block = moves.get(found["block"])
    return None if block is None else f"unet.{block}.{found['rest']}"
