"""Codecs: what stands between pictures and the denoiser's data space (table.py)."""

from models.codecs.latent import LatentCodec
from models.codecs.pixel import PixelCodec, to_float, to_uint8
from models.codecs.table import CODECS, Codec, make_codec

__all__ = ["CODECS", "Codec", "LatentCodec", "PixelCodec", "make_codec", "to_float", "to_uint8"]
