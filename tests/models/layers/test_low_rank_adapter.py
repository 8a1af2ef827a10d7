"""Adapters: off they are not there, on one of them is, and all are in one file of weights."""

import json

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.ema_reconstruction import reconstruct, snapshot_name
from models.layers.low_rank_adapter import (
    GAME,
    AdaptedDenoiser,
    LowRank,
    adapter_names,
    adapter_parameters,
    add_adapters,
    install_adapter,
    keep_on,
    merge_adapter,
    split_adapters,
    switched_on,
)
from models.layers.magnitude_preserving import MPConv
from models.transfer import initialise_from
from models.weights import WeightsError, save_weights
from sampling.config import SamplerConfig
from sampling.generate import generate


def make(rank=4, seed=0):
    torch.manual_seed(seed)
    config = ModelConfig(channels=16, blocks=1, channels_per_head=16, adapter_rank=rank)
    denoiser = Denoiser((1, 8, 8), 3, config)
    with torch.no_grad():
        denoiser.unet.output_gain.fill_(1.0)
    return denoiser.eval()


def trained(rank=4):
    denoiser = make(rank)
    with torch.no_grad():
        for module in denoiser.modules():
            if isinstance(module, LowRank):
                module.up.normal_(0, 0.3)
    return denoiser


def with_two():
    """Adapters "game" and "critic", both trained, and what each and the plain denoiser answer."""
    denoiser = make()
    add_adapters(denoiser.unet, "critic", 2)
    with torch.no_grad():
        for module in denoiser.modules():
            if isinstance(module, LowRank):
                module.up.normal_(0, 0.3)
    plain = denoiser(X, SIGMA, LABELS)
    answers = {name: AdaptedDenoiser(denoiser, name)(X, SIGMA, LABELS) for name in (GAME, "critic")}
    return denoiser, answers | {None: plain}


X, SIGMA, LABELS = torch.randn(3, 1, 8, 8), torch.tensor([0.1, 1.0, 9.0]), torch.tensor([0, 1, -1])


def test_the_plain_denoiser_is_bitwise_what_it_was():
    without, fresh, with_one = make(0), make(), trained()
    expected = without(X, SIGMA, LABELS)
    assert torch.equal(fresh(X, SIGMA, LABELS), expected)
    assert torch.equal(AdaptedDenoiser(fresh)(X, SIGMA, LABELS), expected)  # zero at first
    adapted = AdaptedDenoiser(with_one)(X, SIGMA, LABELS)
    assert (adapted - expected).abs().max() > 1e-3
    assert torch.equal(with_one(X, SIGMA, LABELS), expected)  # and off again afterwards


def test_an_error_inside_switches_off_too():
    denoiser = trained()
    with pytest.raises(RuntimeError), switched_on(denoiser, GAME):
        assert all(m.active == GAME for m in denoiser.unet.modules() if isinstance(m, MPConv))
        raise RuntimeError
    assert not any(m.active for m in denoiser.modules() if isinstance(m, MPConv))


def test_nested_use_leaves_the_outer_one_on():
    denoiser = trained()
    expected = AdaptedDenoiser(denoiser)(X, SIGMA, LABELS)
    with switched_on(denoiser, GAME):
        AdaptedDenoiser(denoiser)(X, SIGMA, LABELS)
        assert torch.equal(denoiser(X, SIGMA, LABELS), expected)


def test_each_name_is_a_behaviour_of_its_own():
    denoiser, answers = with_two()
    assert adapter_names(denoiser) == ["critic", "game"]
    assert torch.equal(denoiser(X, SIGMA, LABELS), answers[None])
    for one, other in ((GAME, "critic"), (GAME, None), ("critic", None)):
        assert (answers[one] - answers[other]).abs().max() > 1e-3
    game, critic = (adapter_parameters(denoiser, name) for name in (GAME, "critic"))
    assert len(game) == len(critic) and not {*map(id, game)} & {*map(id, critic)}
    assert {*map(id, adapter_parameters(denoiser))} == {*map(id, game), *map(id, critic)}
    with torch.no_grad():
        for parameter in critic:
            parameter.zero_()
    assert torch.equal(AdaptedDenoiser(denoiser)(X, SIGMA, LABELS), answers[GAME])


def test_the_innermost_context_counts():
    denoiser, answers = with_two()
    with switched_on(denoiser, GAME):
        for inner in ("critic", None, GAME):
            with switched_on(denoiser, inner):
                assert torch.equal(denoiser(X, SIGMA, LABELS), answers[inner])
            assert torch.equal(denoiser(X, SIGMA, LABELS), answers[GAME])
    assert torch.equal(denoiser(X, SIGMA, LABELS), answers[None])


def test_gradients_reach_the_adapter_that_acts_alone():
    denoiser, _ = with_two()
    AdaptedDenoiser(denoiser, "critic")(X, SIGMA, LABELS).square().sum().backward()
    assert all(p.grad is None for p in adapter_parameters(denoiser, GAME))
    used = [p.grad is not None for p in adapter_parameters(denoiser, "critic")]
    assert sum(used) > len(used) / 2


def test_names_are_checked():
    denoiser = make()
    with pytest.raises(ValueError, match="has an adapter 'game' already"):
        add_adapters(denoiser.unet, GAME, 2)
    for bad in ("a.b", "", "keys", "training"):
        with pytest.raises(ValueError, match="cannot name an adapter"):
            add_adapters(denoiser.unet, bad, 2)
    add_adapters(denoiser.unet, "critic", 2)
    with (
        pytest.raises(ValueError, match=r"adapter 'critik' must be .*did you mean 'critic'\?"),
        switched_on(denoiser, "critik"),
    ):
        pass
    with pytest.raises(ValueError, match="adapter 'student' must be added or loaded"):
        AdaptedDenoiser(make(0), "student")


def test_what_does_not_fit_is_not_installed():
    denoiser = make(0)
    tensors = split_adapters(trained().state_dict())[1][GAME]
    for broken, told in (
        (
            {
                "unet.nowhere.down": tensors["unet.input.down"],
                "unet.nowhere.up": tensors["unet.input.up"],
            },
            "layer unet.nowhere, which this network lacks",
        ),
        ({"unet.input.up": tensors["unet.input.up"]}, "unet.input.down and .up"),
        (
            {
                "unet.input.down": tensors["unet.output.down"],
                "unet.input.up": tensors["unet.input.up"],
            },
            r"unet.input",
        ),
    ):
        with pytest.raises(ValueError, match=told):
            install_adapter(denoiser, "other", tensors | broken if len(broken) > 1 else broken)
        assert adapter_names(denoiser) == []


def test_magnitudes_are_preserved_with_the_adapter_on():
    denoiser = trained()
    plain, adapted = denoiser(X, SIGMA), AdaptedDenoiser(denoiser)(X, SIGMA)
    assert 0.5 < float((adapted.std() / plain.std()).detach()) < 2


def test_weights_on_disk_and_as_a_start(tmp_path):
    denoiser = trained()
    save_weights(tmp_path / "a.safetensors", denoiser.state_dict(), describe(denoiser))
    loaded = load_denoiser(tmp_path / "a.safetensors")
    expected = AdaptedDenoiser(denoiser)(X, SIGMA, LABELS)
    assert torch.equal(AdaptedDenoiser(loaded)(X, SIGMA, LABELS), expected)
    # A start without adapters, or with others, leaves fresh ones.
    save_weights(tmp_path / "b.safetensors", make(0, seed=5).state_dict(), describe(make(0)))
    target = make()
    remade = initialise_from(target, tmp_path / "b.safetensors")
    assert remade and all(".adapters." in name for name in remade)
    assert torch.equal(target(X, SIGMA, LABELS), make(0, seed=5)(X, SIGMA, LABELS))
    assert initialise_from(make(0), tmp_path / "a.safetensors") == []


def test_a_file_may_hold_adapters_that_the_config_does_not_name(tmp_path):
    denoiser, answers = with_two()
    save_weights(tmp_path / "a.safetensors", denoiser.state_dict(), describe(denoiser))
    loaded = load_denoiser(tmp_path / "a.safetensors")
    for name in (GAME, "critic"):
        assert torch.equal(AdaptedDenoiser(loaded, name)(X, SIGMA, LABELS), answers[name])
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_a_merged_adapter_acts_bit_for_bit_as_one_that_is_on():
    denoiser, answers = with_two()
    tensors = denoiser.state_dict()
    merged = merge_adapter(tensors, "critic")
    assert tensors.keys() - merged.keys() == {n for n in tensors if ".adapters.critic." in n}
    other = make()  # which has the game's adapter, that is kept
    other.load_state_dict(merged)
    assert torch.equal(other(X, SIGMA, LABELS), answers["critic"])
    with pytest.raises(ValueError, match="no adapter 'gam' to merge"):
        merge_adapter(tensors, "gam")
    del tensors["unet.output.adapters.critic.up"]
    with pytest.raises(ValueError, match=r"no whole update of unet\.output\.weight"):
        merge_adapter(tensors, "critic")


def test_an_adapter_kept_on_acts_wherever_no_context_says_otherwise():
    denoiser, answers = with_two()
    keep_on(denoiser, "critic")
    assert torch.equal(denoiser(X, SIGMA, LABELS), answers["critic"])
    for name in (GAME, None):
        with switched_on(denoiser, name):
            assert torch.equal(denoiser(X, SIGMA, LABELS), answers[name])
    assert torch.equal(denoiser(X, SIGMA, LABELS), answers["critic"])
    with pytest.raises(ValueError, match="adapter 'student' must be added"):
        keep_on(denoiser, "student")


def test_a_file_whose_adapter_cannot_be_merged_is_one_clear_error(tmp_path):
    path = tmp_path / "a.safetensors"
    denoiser = trained()
    save_weights(path, denoiser.state_dict(), describe(denoiser) | {"merge": "student"})
    with pytest.raises(WeightsError, match="no adapter 'student' to merge"):
        load_denoiser(path)
    with pytest.raises(WeightsError, match=r"train.init_from: .*no adapter 'student' to merge"):
        initialise_from(make(), path)
    constants = {"constants": [n for n, _ in denoiser.named_buffers()], "merge": "student"}
    for sigma_rel in (0.05, 0.1):
        kept = tmp_path / "snapshots" / snapshot_name(100, sigma_rel)
        save_weights(kept, denoiser.state_dict(), describe(denoiser) | constants)
    with pytest.raises(WeightsError, match="no adapter 'student' to merge: run the train"):
        reconstruct(tmp_path / "snapshots", (0.1,))


@pytest.mark.parametrize("version", [1, 2])
def test_files_from_before_adapters_had_names(tmp_path, version):
    """Their only adapter is the game's, and was called LAYER.adapter.down and .up."""
    denoiser = trained()
    expected = AdaptedDenoiser(denoiser)(X, SIGMA, LABELS)
    old = {n.replace(".adapters.game.", ".adapter."): t for n, t in denoiser.state_dict().items()}
    assert any(".adapter.up" in name for name in old)
    constants = [name for name, _ in denoiser.named_buffers()]
    extra = {"constants": constants, "sigma_rel": 0.1}
    for nimg in (100, 200):
        for sigma_rel in (0.05, 0.1):
            path = tmp_path / "snapshots" / snapshot_name(nimg, sigma_rel)
            # A run that was continued: the later snapshots have today's names.
            save_weights(
                path, old if nimg == 100 else denoiser.state_dict(), describe(denoiser) | extra
            )
    path = tmp_path / "snapshots" / snapshot_name(100, 0.1)
    if version == 1:
        written = json.loads(path.with_suffix(".json").read_text())
        del written["format"], written["sha256"]
        path.with_suffix(".json").write_text(json.dumps(written))
    assert torch.equal(AdaptedDenoiser(load_denoiser(path))(X, SIGMA, LABELS), expected)
    target = make(seed=3)
    assert initialise_from(target, path) == []
    assert torch.equal(AdaptedDenoiser(target)(X, SIGMA, LABELS), expected)
    averages, description, _ = reconstruct(tmp_path / "snapshots", (0.07,))
    save_weights(tmp_path / "mean.safetensors", averages[0.07], description)
    mean = load_denoiser(tmp_path / "mean.safetensors")
    torch.testing.assert_close(AdaptedDenoiser(mean)(X, SIGMA, LABELS), expected, atol=1e-4, rtol=0)


def test_a_description_that_does_not_fit_says_why(tmp_path):
    denoiser = trained()
    save_weights(tmp_path / "a.safetensors", denoiser.state_dict(), describe(make(2)))
    with pytest.raises(WeightsError, match=r"size mismatch for unet\..*adapters\.game"):
        load_denoiser(tmp_path / "a.safetensors")


def test_a_sampler_switches_it_on():
    denoiser = trained()
    plain, adapted = (
        generate(denoiser, SamplerConfig(steps=3, adapter=on), 0, range(2)) for on in (False, True)
    )
    assert (plain - adapted).abs().max() > 1e-3
    expected = generate(AdaptedDenoiser(denoiser), SamplerConfig(steps=3), 0, range(2))
    assert torch.equal(adapted, expected)


def test_a_denoiser_without_one_is_one_clear_error():
    assert adapter_parameters(make(0)) == []
    with pytest.raises(ValueError, match=r"model\.adapter_rank"):
        generate(make(0), SamplerConfig(steps=3, adapter=True), 0, range(2))
