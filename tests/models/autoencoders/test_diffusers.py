"""Autoencoders of the library diffusers, small and random, saved to a folder and loaded."""

import json

import pytest
import torch

from models.autoencoder import load_autoencoder, save_autoencoder
from models.autoencoders.config import DiffusersConfig, LatentShape
from models.autoencoders.diffusers_folder import read_diffusers_folder

library = pytest.importorskip("diffusers", reason="diffusers is an optional package")
from models.autoencoders.diffusers import from_folder  # noqa: E402


def kl():
    return library.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=2,
        norm_num_groups=4,
        sample_size=8,
    )


def tiny():
    return library.AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1),
        num_decoder_blocks=(1, 1, 1),
        latent_channels=3,
    )


def dc():
    return library.AutoencoderDC(
        encoder_block_types=("ResBlock", "ResBlock"),
        decoder_block_types=("ResBlock", "ResBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_qkv_multiscales=((), ()),
        decoder_qkv_multiscales=((), ()),
        latent_channels=4,
        attention_head_dim=4,
    )


def reference(model, images):
    """Mean and std by the library's inner parts."""
    if isinstance(model, library.AutoencoderKL):
        mean, log_variance = model.quant_conv(model.encoder(images)).chunk(2, dim=1)
        return mean, (log_variance / 2).exp()
    if isinstance(model, library.AutoencoderTiny):  # its layers take [0, 1]
        mean = model.encoder.layers((images + 1) / 2)
    else:
        mean = model.encoder(images)
    return mean, torch.zeros_like(mean)


MODELS = {"AutoencoderKL": (kl, 2), "AutoencoderTiny": (tiny, 4), "AutoencoderDC": (dc, 2)}


def saved(name, folder):
    torch.manual_seed(0)
    model = MODELS[name][0]().eval()
    model.save_pretrained(folder)
    return model


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_autoencoder_has_the_librarys_moments(tmp_path, name):
    model = saved(name, tmp_path / "vae")
    images = torch.rand(2, 3, 16, 16, generator=torch.manual_seed(1)) * 2 - 1
    loaded = from_folder(tmp_path / "vae")
    save_autoencoder(tmp_path / "autoencoder.safetensors", loaded)
    mean, std = reference(model, images)
    for found in (loaded, load_autoencoder(tmp_path)):
        moments = found.encode(images)
        torch.testing.assert_close(moments.mean, mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(moments.std, std, rtol=1e-5, atol=1e-6)
        assert tuple(mean.shape[1:]) == found.latent_shape((3, 16, 16))
        assert found.factor == MODELS[name][1]
        decoded = model.decode(mean * 9).sample
        torch.testing.assert_close(found.decode(mean * 9), decoded.clamp(-1, 1))
    assert json.loads((tmp_path / "autoencoder.json").read_text())["kind"] == "diffusers"


def test_weights_of_half_precision_are_found_by_their_name(tmp_path):
    torch.manual_seed(0)
    kl().half().save_pretrained(tmp_path, variant="fp16")
    assert not (tmp_path / "diffusion_pytorch_model.safetensors").exists()
    assert next(from_folder(tmp_path).parameters()).dtype == torch.float32


def test_weights_of_another_config_are_refused(tmp_path):
    saved("AutoencoderKL", tmp_path)
    told = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(told | {"layers_per_block": 2}))
    with pytest.raises(ValueError, match="another autoencoder than the weights"):
        from_folder(tmp_path)


def edited(folder, **changes):
    """Change config.json; None removes the key."""
    told = json.loads((folder / "config.json").read_text()) | changes
    told = {key: value for key, value in told.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(told))


def refusal(folder, side=16, channels=3):
    return DiffusersConfig(path=str(folder)).refusal(side, channels)


def test_a_folder_is_refused_with_one_line_that_says_what_is_wrong(tmp_path):
    assert "absent does not exist" in refusal(tmp_path / "absent")
    assert "has no config.json" in refusal(tmp_path)
    folder = tmp_path / "pipeline" / "vae"
    saved("AutoencoderTiny", folder)
    assert refusal(folder) is None
    assert f"did you mean {folder}?" in refusal(tmp_path / "pipeline")
    assert "4 times smaller, which does not divide 18x18" in refusal(folder, side=18)
    assert "set dataset.channels to 3" in refusal(folder, channels=1)
    assert refusal(folder, channels=None) is None
    edited(folder, _class_name="AutoencoderTinny")
    assert "did you mean 'AutoencoderTiny'?" in refusal(folder)
    edited(folder, _class_name=None)
    assert "without a class name" in refusal(folder)
    edited(folder, _class_name="AutoencoderTiny", latent_channels="many")
    assert "latent_channels: 'many'" in refusal(folder)
    edited(folder, encoder_block_out_channels=None)
    assert "does not list encoder_block_out_channels" in refusal(folder)
    (folder / "config.json").write_text("{")
    assert "is damaged" in refusal(folder)
    (folder / "diffusion_pytorch_model.safetensors").rename(folder / "model.bin")
    assert "holds no .safetensors file, only model.bin" in refusal(folder)


def test_latents_that_the_folder_does_not_make_are_refused(tmp_path):
    saved("AutoencoderTiny", tmp_path)
    for channels, factor, fits in ((3, 4, True), (4, 4, False), (3, 8, False)):
        shape = LatentShape(channels=channels, factor=factor)
        config = DiffusersConfig(path=str(tmp_path), latents=shape)
        told = config.refusal(16, 3)
        assert (told is None) == fits and config.missing() is None
        if told is not None:
            assert told == (
                f".latents: {channels} channels at 1/{factor} of the picture, but {tmp_path} makes "
                "3 channels at 1/4 of the picture: set them to that, or give another folder"
            )


def test_without_the_library_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("models.autoencoders.config.find_spec", lambda name: None)
    assert "pip install -e '.[diffusers]'" in refusal(tmp_path)


def test_a_folder_may_lie_in_the_users_home(tmp_path, monkeypatch):
    saved("AutoencoderTiny", tmp_path / "vae")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert read_diffusers_folder("~/vae").folder == tmp_path / "vae"
    assert refusal("~/vae") is None
    assert "~/absent does not exist" in refusal("~/absent")


def test_a_relative_folder_is_found_in_the_project_itself(tmp_path, monkeypatch):
    """DVC may run the stage in a copy of the project that lacks what git does not know."""
    saved("AutoencoderTiny", tmp_path / "project" / "vae")
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "project"))
    assert read_diffusers_folder("vae").folder == tmp_path / "project" / "vae"
