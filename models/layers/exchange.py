"""What a layer asks for where one image is cut into bands of rows, and the 3x3 convolution of it.

A layer that needs more of the image than its own band has the attribute `exchange`; `divided`
of models/bands sets it, and None is the whole image. Source of the method: DistriFusion
(arXiv 2402.19481), section 3.
"""

from collections.abc import Callable
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

Rows = tuple[Tensor | None, Tensor | None]
"""The row above each band and that below, each [N, C, 1, W]; None: the image ends there."""


class Exchange(Protocol):
    """Bands of rows of one batch of images, of which this process holds one or all.

    N is B times the bands that this process holds, of which the topmost comes first. `key` is the
    layer that asks. Where an evaluation is not fresh, the other bands' values are those of exactly
    the evaluation before, never "what has arrived", so the result depends on the bands alone.
    """

    @property
    def count(self) -> int:
        """Bands of an image."""
        ...

    def begin(self, fresh: bool, keep: bool = True) -> None:
        """An evaluation begins. fresh: it uses the other bands' values of this evaluation; keep:
        its values are held for the next one, which may not be fresh."""
        ...

    def cut(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> own bands, with a row of their neighbours, [N, C, H / count + 2, W].

        Beyond the image the row is zero.
        """
        ...

    def inside(self, x: Tensor) -> Tensor:
        """Bands as `cut` gives them, with the rows beyond the image set to zero."""
        ...

    def each(self, values: Tensor) -> Tensor:
        """[B, ...] of whole images -> the same for each band held, [N, ...]."""
        ...

    def rows(self, key: object, x: Tensor) -> Callable[[], Rows]:
        """Offers the first and last row of x [N, C, h, W]; the call that it returns takes those of
        the neighbours, and waits for them. Always called, once."""
        ...

    def gather(self, key: object, values: Tensor, dim: int) -> Tensor:
        """Values of all bands along `dim`, in the order of the rows, the own part always fresh."""
        ...

    def starts(self, held: int, tokens: int) -> list[int]:
        """Place in its whole image of the first token of each of `held` bands of `tokens` each."""
        ...

    def join(self, x: Tensor) -> Tensor:
        """Own bands [N, C, h, W] -> whole images [B, C, h * count, W], always fresh."""
        ...


def edge_weights(weight: Tensor) -> tuple[Tensor, Tensor]:
    """What acts on the row above and on that below, of a weight [C', C, 3, 3]: each [C', C, 1, 3].

    Copies, for a convolution by a part of a larger tensor takes up to three times as long.
    """
    assert weight.shape[-2] == 3, "a band has one row of its neighbours"
    return weight[:, :, :1].contiguous(), weight[:, :, 2:].contiguous()


def convolve_band(
    exchange: Exchange,
    key: object,
    x: Tensor,
    weight: Tensor,
    edges: tuple[Tensor, Tensor],
    groups: int = 1,
) -> Tensor:
    """A 3x3 convolution of bands x [N, C, h, W], padded with zeros beyond the image alone.

    The neighbours' rows are added to the first and last row after the band's own convolution, which
    runs while they travel: a convolution is a sum over its rows. edges: of `edge_weights`; groups:
    of channels that do not mix.
    """
    wait = exchange.rows(key, x)
    y = F.conv2d(x, weight, padding=1, groups=groups)
    above, below = wait()
    if above is not None:
        y[:, :, :1] += F.conv2d(above, edges[0], padding=(0, 1), groups=groups)
    if below is not None:
        y[:, :, -1:] += F.conv2d(below, edges[1], padding=(0, 1), groups=groups)
    return y


class Overlapping:
    """The convolution of bands that come with a row of their neighbours: the network's first.

    Every process has the whole noisy image, so nothing travels and the rows are always fresh.
    """

    def __init__(self, exchange: Exchange):
        self.exchange = exchange

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """[N, C, h + 2, W] -> [N, C', h, W]."""
        return F.conv2d(self.exchange.inside(x), weight, padding=(0, 1))
