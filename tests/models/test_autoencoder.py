"""Autoencoders on disk, and the settings that refuse pictures."""

import json

import pytest
import torch

from models.autoencoder import autoencoder_hash, load_autoencoder, save_autoencoder
from models.autoencoders.base import pictures_at_once
from models.autoencoders.config import PCAConfig
from models.autoencoders.pca import PCAAutoencoder
from models.weights import WeightsError, file_hash


@pytest.fixture
def stored(tmp_path):
    network = PCAAutoencoder(3, 5, 2)
    network.fit([torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))])
    save_autoencoder(tmp_path / "autoencoder.safetensors", network, {"explained_variance": 0.5})
    return network, tmp_path


def test_a_stored_autoencoder_encodes_alike_by_file_and_by_folder(stored):
    network, folder = stored
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    for path in (folder, folder / "autoencoder.safetensors"):
        loaded = load_autoencoder(path)
        assert torch.equal(loaded.encode(images).mean, network.encode(images).mean)
        assert loaded.kind == "pca" and loaded.latent_shape((3, 8, 8)) == (5, 4, 4)
    assert autoencoder_hash(folder) == file_hash(folder / "autoencoder.safetensors")


def test_what_is_no_autoencoder_is_refused_in_one_line(stored, tmp_path):
    _, folder = stored
    with pytest.raises(WeightsError, match="does not exist"):
        load_autoencoder(tmp_path / "none")
    beside = folder / "autoencoder.json"
    facts = json.loads(beside.read_text())
    for key, value in (("kind", "pcb"), ("factor", 4), ("factor", None), ("channels", "x")):
        changed = {k: v for k, v in facts.items() if k not in ("format", "description_sha256")}
        changed.pop("sha256")
        beside.write_text(json.dumps(changed | {key: value}))
        with pytest.raises(WeightsError, match="does not describe an autoencoder") as error:
            load_autoencoder(folder)
        assert "\n" not in str(error.value)


def test_pictures_that_do_not_fit_are_refused(stored):
    network, _ = stored
    with pytest.raises(ValueError, match="3 channels, and these have 1"):
        network.latent_shape((1, 8, 8))
    with pytest.raises(ValueError, match="does not divide 9x9"):
        network.latent_shape((3, 9, 9))


def test_settings_refuse_patches_that_do_not_tile_and_too_many_components():
    assert PCAConfig(factor=4, channels=16).refusal(8, 1) is None
    assert "use one of 1, 2, 4, 8" in PCAConfig(factor=3).refusal(8, None)
    assert "use at most 4" in PCAConfig(factor=2, channels=5).refusal(8, 1)
    assert PCAConfig(factor=2, channels=5).refusal(8, None) is None  # colour may come


def test_large_pictures_go_through_fewer_at_once():
    assert [pictures_at_once(side, side) for side in (8, 128, 256, 512, 2048)] == [64, 64, 16, 4, 1]
