"""What settings of an autoencoder are refused with."""

import pytest
from pydantic import ValidationError

from models.autoencoders.config import DiffusersConfig, KLConfig, LatentShape


def test_a_factor_that_does_not_divide_the_picture_names_those_that_do():
    assert KLConfig(factor=4).refusal(64, 3) is None and KLConfig(factor=4).latent_side(64) == 16
    assert KLConfig(factor=8).refusal(28, 1) == (
        ".factor: 8 does not divide pictures of 28x28 (dataset.resolution): use 2 or 4"
    )
    assert KLConfig(factor=2).refusal(27, 1).endswith("use an even resolution, or kind pca")


def test_a_divergence_that_would_never_count_is_refused():
    with pytest.raises(ValidationError, match="kl_start_kimg: the divergence would begin at 50"):
        KLConfig(kl_start_kimg=50.0, total_kimg=20.0)
    KLConfig(kl_start_kimg=50.0, total_kimg=20.0, kl_weight=0.0)


def test_a_folder_whose_latents_are_named_need_not_be_there_yet(tmp_path):
    absent = str(tmp_path / "vae")
    told = DiffusersConfig(path=absent).refusal(64, 3)
    assert told is not None and (told.startswith(".path: ") or "diffusers]" in told)
    config = DiffusersConfig(path=absent, latents=LatentShape(channels=4, factor=8))
    assert config.refusal(64, 3) is None and config.refusal(64, None) is None
    assert (config.latent_channels, config.latent_side(64)) == (4, 8)
    assert config.missing() == told
    assert config.refusal(60, 3) == (
        f".path: {absent} makes pictures 8 times smaller, which does not divide 60x60: set "
        "dataset.resolution to 56 or 64"
    )


def test_latents_that_are_not_named_leave_what_is_stored_as_it_was():
    assert DiffusersConfig(path="vae").model_dump(mode="json") == {
        "kind": "diffusers",
        "path": "vae",
    }
    named = DiffusersConfig(path="vae", latents=LatentShape(channels=4, factor=8))
    assert named.model_dump(mode="json")["latents"] == {"channels": 4, "factor": 8}
    assert DiffusersConfig.model_validate_json(named.model_dump_json()) == named
