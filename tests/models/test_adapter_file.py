"""One adapter on disk, apart from its denoiser."""

import pytest
import torch
from safetensors.torch import load_file

from models.adapter_file import load_adapter, save_adapter
from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.layers.low_rank_adapter import (
    GAME,
    AdaptedDenoiser,
    LowRank,
    adapter_names,
    adapter_parameters,
)
from models.weights import WeightsError, load_description, save_weights

X, SIGMA = torch.randn(3, 1, 8, 8), torch.tensor([0.1, 1.0, 9.0])


def make(rank=3, seed=0, channels=16):
    torch.manual_seed(seed)
    config = ModelConfig(channels=channels, blocks=1, channels_per_head=16, adapter_rank=rank)
    denoiser = Denoiser((1, 8, 8), 3, config)
    with torch.no_grad():
        denoiser.unet.output_gain.fill_(1.0)
        for module in denoiser.modules():
            if isinstance(module, LowRank):
                module.up.normal_(0, 0.3)
    return denoiser.eval()


@pytest.fixture
def path(tmp_path):
    save_adapter(make(), GAME, tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def test_goes_round_onto_the_plain_denoiser(path):
    adapted, plain = make(), make(0)
    before = plain(X, SIGMA)
    assert load_adapter(plain, path) == GAME
    assert torch.equal(plain(X, SIGMA), before)
    assert torch.equal(AdaptedDenoiser(plain)(X, SIGMA), AdaptedDenoiser(adapted)(X, SIGMA))
    assert all(parameter.requires_grad for parameter in adapter_parameters(plain))
    frozen = make(0).requires_grad_(False)
    load_adapter(frozen, path)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_the_file_holds_the_adapter_alone_and_says_what_it_is(path):
    denoiser = make()
    names = {name.rpartition(".")[2] for name in load_file(path)}
    assert names == {"down", "up"} and len(load_file(path)) == len(adapter_parameters(denoiser))
    description = load_description(path)
    assert description["name"] == GAME and description["rank"] == 3
    assert description["layers"]["unet.input"] == [16, 18]
    assert len(description["base_sha256"]) == 64


def test_another_name_beside_the_first(path):
    denoiser = make()
    with pytest.raises(WeightsError, match=r"a\.safetensors: .*has an adapter 'game' already"):
        load_adapter(denoiser, path)
    assert load_adapter(denoiser, path, "first") == "first"
    assert adapter_names(denoiser) == ["first", "game"]
    own, loaded = (AdaptedDenoiser(denoiser, name)(X, SIGMA) for name in (GAME, "first"))
    assert torch.equal(own, loaded)
    # What it adapts are the plain weights, whatever other adapters they have.
    save_adapter(denoiser, "first", path)
    assert load_adapter(make(0), path) == "first"


@pytest.mark.parametrize("changes", [{"seed": 1}, {"channels": 32}])
def test_another_base_or_other_shapes_are_refused(path, changes):
    other = make(**{"rank": 0, **changes})
    with pytest.raises(
        WeightsError, match=r"a\.safetensors is the adapter of other weights"
    ) as told:
        load_adapter(other, path)
    assert "\n" not in str(told.value) and adapter_names(other) == []


def test_a_change_of_one_weight_is_another_base(path):
    other = make(0)
    with torch.no_grad():
        other.unet.output.weight[0, 0, 0, 0] += 1e-3
    with pytest.raises(WeightsError, match="other weights"):
        load_adapter(other, path)


def test_what_is_no_adapter_is_refused(path, tmp_path):
    denoiser = make()
    with pytest.raises(ValueError, match="no adapter 'critic' to save: this denoiser has game"):
        save_adapter(denoiser, "critic", tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="this denoiser has none"):
        save_adapter(make(0), GAME, tmp_path / "b.safetensors")
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    with pytest.raises(WeightsError, match=r"a\.safetensors holds no adapter"):
        load_adapter(make(0), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(WeightsError, match="damaged"):
        load_adapter(make(0), path)
    with pytest.raises(WeightsError, match="does not exist"):
        load_adapter(make(0), tmp_path / "c.safetensors")


def test_tensors_that_do_not_make_updates_are_refused(path):
    description, tensors = load_description(path), load_file(path)
    del tensors["unet.input.up"]
    save_weights(path, tensors, description)
    with pytest.raises(WeightsError, match=r"a\.safetensors: .*unet\.input\.down and \.up"):
        load_adapter(make(0), path)
