import numpy as np
import pytest
import torch

from models.codecs import PixelCodec, make_codec, to_float, to_uint8


def test_every_byte_survives_the_round_trip_and_lands_where_it_should():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    values = to_float(pixels)
    assert values.dtype == torch.float32 and values.shape == (1, 1, 16, 16)
    assert values.min() == -1 and values.max() == 1
    np.testing.assert_allclose(values.flatten(), np.arange(256) / 127.5 - 1, atol=1e-7)
    assert (to_uint8(values) == pixels).all()


def test_axes_are_moved_not_reshaped():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    values = to_float(torch.from_numpy(pixels))
    assert values.shape == (2, 3, 4, 5) and values.is_contiguous()
    assert values[1, 2, 3, 4] == pytest.approx(pixels[1, 3, 4, 2] / 127.5 - 1)
    assert (to_uint8(values) == pixels).all()


def test_rounds_to_nearest_and_clips():
    values = torch.tensor([-9.0, -1.0, 99.4 / 127.5 - 1, 99.6 / 127.5 - 1, 1.0, 9.0])
    assert to_uint8(values.reshape(1, 1, 2, 3)).ravel().tolist() == [0, 0, 99, 100, 255, 255]
    assert to_uint8(torch.zeros(1, 1, 1, 1, dtype=torch.bfloat16)).item() == 128


def test_read_only_and_reversed_arrays_are_fine(recwarn):
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    expected = to_float(pixels[..., ::-1].copy())
    pixels.setflags(write=False)
    assert torch.equal(to_float(pixels[..., ::-1]), expected)
    assert not recwarn.list


def test_nan_is_refused():
    with pytest.raises(ValueError, match="diverged"):
        to_uint8(torch.full((1, 1, 2, 2), float("nan")))


def test_the_pixel_codec_mirrors_the_rows_it_is_told_to():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    codec = PixelCodec()
    plain = codec.encode(pixels)
    mirrored = codec.encode(pixels, torch.tensor([True, False, True]))
    assert torch.equal(mirrored[1], plain[1])
    assert (codec.decode(mirrored)[[0, 2]] == pixels[[0, 2], :, ::-1]).all()


def test_a_codec_is_made_again_from_its_description():
    assert isinstance(make_codec(PixelCodec().describe()), PixelCodec)
    assert isinstance(make_codec(None), PixelCodec)  # weights that were written before codecs
    with pytest.raises(ValueError, match="unknown codec 'nonne': did you mean 'none'"):
        make_codec({"kind": "nonne"})
