"""A folder in the place of a weights file: an exported one works, another says what lies in it."""

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.transfer import initialise_from
from models.weights import WeightsError, load_tensors, save_weights
from models.weights_folder import DENOISER, files_by_length, weights_file


def save_toy(path, seed=0, **description):
    torch.manual_seed(seed)
    config = ModelConfig(
        channels=8, channel_mult=(1,), blocks=1, attention_resolutions=(), structural_blocks=()
    )
    denoiser = Denoiser((1, 8, 8), 2, config)
    save_weights(path, denoiser.state_dict(), describe(denoiser) | description)
    return denoiser


def test_an_exported_folder_loads_wherever_a_file_does(tmp_path):
    stored = save_toy(tmp_path / "shared" / DENOISER).state_dict()
    assert weights_file(tmp_path / "shared") == tmp_path / "shared" / DENOISER
    assert weights_file(tmp_path / "shared" / "denoiser") == tmp_path / "shared" / DENOISER
    loaded = load_denoiser(tmp_path / "shared")
    fresh = Denoiser((1, 8, 8), 2, loaded.config)
    assert not torch.equal(fresh.unet.output.weight, stored["unet.output.weight"])
    assert initialise_from(fresh, tmp_path / "shared") == []
    for name, tensor in stored.items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
        assert torch.equal(tensor, fresh.state_dict()[name]), name


def test_another_folder_names_what_lies_in_it(tmp_path):
    with pytest.raises(WeightsError, match=r"is a folder without weights: name a \.safetensors"):
        load_denoiser(tmp_path)
    for length in ("0.1", "0.05"):
        save_toy(tmp_path / f"{length}.safetensors")
    with pytest.raises(WeightsError, match=r"folder of 2 .*there are 0\.05\.safe.*, 0\.1\.safe"):
        load_denoiser(tmp_path)
    with pytest.raises(WeightsError, match=r"0\.11\.saf.* not exist: did you mean '0\.1\.safet"):
        load_denoiser(tmp_path / "0.11.safetensors")


def test_where_only_a_file_will_do_a_folder_is_told(tmp_path):
    with pytest.raises(WeightsError, match=r"is a folder: name a \.safetensors file$"):
        load_tensors(tmp_path)
    save_toy(tmp_path / "classifier.safetensors")
    with pytest.raises(WeightsError, match=r"is a folder: .*, such as .*classifier\.safetensors$"):
        load_tensors(tmp_path)


def test_files_by_length_go_by_what_the_files_say(tmp_path):
    for name, length in (("a", 0.2), ("b", 0.05), ("c", None)):
        more = {} if length is None else {"sigma_rel": length}
        save_toy(tmp_path / f"{name}.safetensors", **more)
    found = [(0.05, tmp_path / "b.safetensors"), (0.2, tmp_path / "a.safetensors")]
    assert files_by_length(tmp_path) == found
    assert files_by_length(tmp_path / "c.safetensors") == found
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(WeightsError, match="holds 1: name a folder such as outputs/ema"):
        files_by_length(tmp_path)
