"""A pair of files: tensors and their description."""

import os

import pytest
import torch

from models.weights import WeightsError, load_tensors, save_weights


def test_goes_round_and_leaves_nothing_beside(tmp_path):
    save_weights(tmp_path / "a.safetensors", {"w": torch.arange(3.0)}, {"kind": "toy"})
    tensors, description = load_tensors(tmp_path / "a.safetensors")
    assert torch.equal(tensors["w"], torch.arange(3.0)) and description == {"kind": "toy"}
    assert sorted(os.listdir(tmp_path)) == ["a.json", "a.safetensors"]


def test_whoever_may_read_the_description_may_read_the_weights(tmp_path):
    before = os.umask(0o022)
    try:
        save_weights(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


def test_half_a_pair_is_named(tmp_path):
    save_weights(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, {})
    (tmp_path / "a.json").unlink()
    with pytest.raises(WeightsError, match=r"a\.json does not exist"):
        load_tensors(tmp_path / "a.safetensors")
