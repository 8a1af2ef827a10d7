"""Latents decoded in bands are those decoded whole."""

import pytest
import torch
from torch import nn

from models.autoencoders.kl import KLAutoencoder
from models.autoencoders.pca import PCAAutoencoder
from models.bands import StackedBands
from models.bands.decoding import decode_in_bands
from models.codecs.latent import LatentCodec, decoded_in_bands


def kl() -> KLAutoencoder:
    """Its weights are away from zero, so that every block counts, and means away from it too."""
    torch.manual_seed(0)
    network = KLAutoencoder(3, 4, 4, 8).double().eval().requires_grad_(False)
    for layer in network.decoder.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.normal_(0, 0.2)
            layer.bias.normal_(3, 0.3)
    return network


def pca() -> PCAAutoencoder:
    torch.manual_seed(0)
    network = PCAAutoencoder(3, 4, 4).double()
    network.components.normal_(0, 0.1)
    network.patch_mean.normal_(0, 0.1)
    return network


LATENTS = torch.randn(3, 4, 8, 5, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("make", [kl, pca])
def test_bands_decode_as_the_whole(make, count):
    network = make()
    if isinstance(network, KLAutoencoder):
        network.decode = network.unclamped
    whole = network.decode(LATENTS)
    found = decode_in_bands(network, LATENTS, StackedBands(count))
    assert whole.std() > 0.1 and torch.allclose(found, whole, rtol=0, atol=1e-11)
    assert all("forward" not in vars(layer) for layer in network.modules())


def test_a_norm_of_each_band_alone_is_another_picture(monkeypatch):
    network = kl()
    network.decode = network.unclamped
    whole = network.decode(LATENTS)
    monkeypatch.setattr(
        StackedBands, "gather", lambda self, key, values, dim: torch.cat([values] * 2, dim)
    )
    assert (decode_in_bands(network, LATENTS, StackedBands(2)) - whole).abs().max() > 1e-3


def test_what_bands_do_not_know_or_divide_is_decoded_whole():
    network = kl()
    whole = network.decode(LATENTS)
    assert torch.equal(decode_in_bands(network, LATENTS, StackedBands(3)), whole)
    network.in_bands = False
    exchange = StackedBands(2)
    assert torch.equal(decode_in_bands(network, LATENTS, exchange), whole)
    assert exchange.sent_bytes == 0


def test_a_codec_decodes_over_the_exchange_inside_the_context_only():
    codec = LatentCodec("0" * 64, (3, 32, 20), (4, 8, 5), (0.0,) * 4, (1.0,) * 4, True)
    codec._network = kl().float()
    whole, exchange = codec.decode(LATENTS), StackedBands(2)
    with decoded_in_bands(codec, exchange):
        found = codec.decode(LATENTS)
    sent = exchange.sent_bytes
    assert sent > 0 and abs(found.astype(int) - whole.astype(int)).max() <= 1
    codec.decode(LATENTS)
    assert exchange.sent_bytes == sent
