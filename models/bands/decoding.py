"""Decoding latents in bands: a decoder of 3x3 convolutions and group norms, exact.

Convolutions take their neighbours' rows, as the denoiser's do. A group norm needs the moments of
the whole picture: each band's mean and variance are gathered and combined (Chan, Golub and
LeVeque 1983, Eq. 2.1), which loses no digits where a mean is large.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from models.autoencoder import Autoencoder
from models.layers.exchange import Exchange, convolve_band, edge_weights


def decode_in_bands(network: Autoencoder, latents: Tensor, exchange: Exchange) -> Tensor:
    """Whole latents [B, c, h, w] -> whole pictures [B, C, H, W], each process a band of them.

    A decoder with layers that bands do not know (`in_bands` is false), or latents whose rows cannot
    be cut evenly, are decoded whole.
    """
    if not network.in_bands or latents.shape[2] % exchange.count:
        return network.decode(latents)
    exchange.begin(fresh=True, keep=False)
    with _over_bands(network, exchange):
        return exchange.join(network.decode(exchange.cut(latents)[:, :, 1:-1]))


@contextmanager
def _over_bands(network: nn.Module, exchange: Exchange) -> Iterator[None]:
    """Inside, convolutions and group norms of the network work on bands."""
    changed = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) and layer.stride == (1, 1):
            layer.forward = _convolution(layer, exchange)  # type: ignore
        elif isinstance(layer, nn.GroupNorm):
            layer.forward = _group_norm(layer, exchange)  # type: ignore
        else:
            continue
        changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward  # that of its class acts again


def _convolution(layer: nn.Conv2d, exchange: Exchange) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        y = convolve_band(exchange, layer, x, layer.weight, edge_weights(layer.weight))
        return y if layer.bias is None else y + layer.bias[:, None, None]

    return forward


def _group_norm(layer: nn.GroupNorm, exchange: Exchange) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        grouped = x.reshape(len(x), layer.num_groups, -1)
        variance, mean = torch.var_mean(grouped, -1, correction=0)  # [N, G], of the own band
        own = torch.stack([mean, variance], -1)[..., None]  # [N, G, 2, 1]
        means, variances = exchange.gather(layer, own, -1).unbind(-2)  # each [N, G, bands]
        mean = means.mean(-1)
        # Bands are equally high, so each counts alike.
        variance = (variances + (means - mean[..., None]).square()).mean(-1)
        scaled = (grouped - mean[..., None]) * (variance + layer.eps).rsqrt()[..., None]
        assert layer.weight is not None and layer.bias is not None
        return torch.addcmul(
            layer.bias[:, None, None], scaled.view_as(x), layer.weight[:, None, None]
        )

    return forward
