"""The denoiser's contract, its magnitudes, and its weights on disk."""

import json

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.layers.block_configs import GraphConvConfig, SelfAttentionConfig
from models.layers.graph_conv import GraphConv
from models.layers.magnitude_preserving import MPConv, mp_cat, mp_silu, mp_sum
from models.transfer import initialise_from
from models.weights import WeightsError, save_weights

SMALL = ModelConfig(
    channels=16, channel_mult=(1, 2), blocks=1, attention_resolutions=(4,), channels_per_head=16
)


def make(shape=(1, 8, 8), classes=3, config=SMALL, gain=1.0):
    torch.manual_seed(0)
    denoiser = Denoiser(shape, classes, config)
    with torch.no_grad():  # a fresh network's output gain is 0; open it so that tests see it
        denoiser.unet.output_gain.fill_(gain)
    return denoiser


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 12), (2, 6, 10), (5, 4, 4)])
@pytest.mark.parametrize("classes", [0, 3])
def test_any_size_and_channels(shape, classes):
    denoiser = make(shape, classes)
    x, sigma = torch.randn(4, *shape), torch.tensor([0.01, 0.5, 3.0, 80.0])
    labels = torch.tensor([0, 2, -1, 1]) if classes else None
    out = denoiser(x, sigma, labels)
    assert out.shape == x.shape and out.dtype == torch.float32
    torch.testing.assert_close(out, denoiser.decode(denoiser.encode(x, sigma, labels)))
    assert denoiser.log_variance(sigma).shape == (4,)


def test_preconditioning_limits():
    """D -> x as sigma -> 0, and a fresh network returns c_skip x (EDM, table 1)."""
    x = torch.randn(2, 1, 8, 8)
    denoiser = make()
    torch.testing.assert_close(denoiser(x, torch.full((2,), 1e-6)), x, atol=1e-5, rtol=0)
    sigma = torch.full((2,), 2.0)
    fresh = make(gain=0.0)
    torch.testing.assert_close(fresh(x, sigma), x * 0.25 / 4.25)


def test_labels():
    denoiser, x, sigma = make(), torch.randn(3, 1, 8, 8), torch.ones(3)
    none = denoiser(x, sigma, torch.full((3,), -1))
    torch.testing.assert_close(denoiser(x, sigma), none)
    with torch.no_grad():
        for block in denoiser.unet.encoder:
            block.modulation_gain.fill_(1.0)
    a, b = (denoiser(x, sigma, torch.full((3,), label)) for label in (0, 1))
    assert (a - b).abs().max() > 1e-3
    assert (a - denoiser(x, sigma)).abs().max() > 1e-3


def test_batch_rows_are_independent():
    denoiser, x = make(), torch.randn(6, 1, 8, 8)
    sigma, labels = torch.rand(6) + 0.1, torch.tensor([0, 1, 2, -1, 0, 1])
    whole = denoiser(x, sigma, labels)
    torch.testing.assert_close(whole[2:3], denoiser(x[2:3], sigma[2:3], labels[2:3]))


def test_layers_preserve_magnitude():
    torch.manual_seed(1)
    a, b = torch.randn(64, 32, 8, 8), torch.randn(64, 48, 8, 8)
    rms = lambda x: x.square().mean().sqrt().item()  # noqa: E731
    assert rms(mp_silu(a)) == pytest.approx(1, abs=0.02)
    assert rms(mp_sum(a, a.flip(0), 0.3)) == pytest.approx(1, abs=0.02)
    assert rms(mp_cat(a, b)) == pytest.approx(1, abs=0.02)
    assert rms(MPConv(32, 64, 3)(a)[:, :, 1:-1, 1:-1]) == pytest.approx(1, abs=0.05)


def test_activations_stay_near_one_through_depth():
    config = ModelConfig(
        channels=32,
        channel_mult=(1, 2, 2),
        blocks=3,
        attention_resolutions=(4,),
        structural_blocks=(GraphConvConfig(), SelfAttentionConfig(heads=2)),
    )
    torch.manual_seed(0)
    unet = Denoiser((3, 16, 16), 0, config).unet
    magnitudes = []
    for block in [*unet.encoder, *unet.structure, *unet.middle, *unet.decoder]:
        block.register_forward_hook(
            lambda module, args, out: magnitudes.append(out.square().mean().sqrt().item())
        )
    encoded = unet.encode(torch.randn(16, 3, 16, 16), torch.randn(16), None)
    unet.decode(encoded)
    assert len(magnitudes) > 20
    assert min(magnitudes) > 0.5 and max(magnitudes) < 1.6, magnitudes


def test_weight_rows_keep_their_norm_through_training():
    denoiser = make()
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=0.05)
    x = torch.randn(8, 1, 8, 8)
    convs = [m for m in denoiser.modules() if isinstance(m, MPConv)]
    before = [m.weight.detach().clone() for m in convs]
    for _ in range(3):
        loss = (denoiser(x, torch.ones(8)) - x.sign()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        denoiser.normalize_weights()
    for module, old in zip(convs, before, strict=True):
        rms = module.weight.detach().flatten(1).square().mean(1).sqrt()
        torch.testing.assert_close(rms, torch.ones_like(rms), atol=1e-5, rtol=0)
        assert module.weight.shape == old.shape
    assert any((m.weight - o).abs().max() > 0.01 for m, o in zip(convs, before, strict=True))


def test_structural_blocks_follow_the_list():
    kinds = lambda d: [type(m).__name__ for m in d.unet.structure]  # noqa: E731
    assert kinds(make()) == ["GraphConv", "CosineAttention"]
    assert kinds(make(config=SMALL.model_copy(update={"structural_blocks": ()}))) == []


def test_graph_conv_is_equivariant_to_moving_tokens():
    """Tokens carry no position, so permuting them permutes the result."""
    torch.manual_seed(0)
    block = GraphConv(8, k=3, width=16)
    x = torch.randn(2, 8, 4, 4)
    order = torch.randperm(16)
    moved = x.flatten(2)[:, :, order].reshape(x.shape)
    expected = block(x).flatten(2)[:, :, order].reshape(x.shape)
    torch.testing.assert_close(block(moved), expected, atol=1e-5, rtol=1e-5)
    assert GraphConv(8, k=50, width=16)(x).shape == x.shape  # k >= tokens


def test_uneven_resolution_is_refused():
    with pytest.raises(ValueError, match="multiple of 2"):
        make((1, 9, 9))


def test_weights_round_trip(tmp_path):
    denoiser = make((2, 8, 8))
    path = tmp_path / "a.safetensors"
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    again = load_denoiser(path)
    x, sigma, labels = torch.randn(2, 2, 8, 8), torch.ones(2), torch.tensor([0, 2])
    torch.testing.assert_close(again(x, sigma, labels), denoiser(x, sigma, labels), rtol=0, atol=0)
    assert again.image_shape == (2, 8, 8) and again.num_classes == 3 and not again.training


def test_damaged_weights_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(WeightsError, match="does not exist"):
        load_denoiser(path)
    denoiser = make()
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"a\.safetensors is damaged"):
        load_denoiser(path)
    save_weights(path, {"x": torch.zeros(1)}, {"format": 1})
    with pytest.raises(WeightsError, match="does not describe"):
        load_denoiser(path)


def test_whatever_the_json_beside_weights_holds_is_one_weights_error(tmp_path, odd_variants):
    path = tmp_path / "a.safetensors"
    denoiser = make()
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    written = json.loads((tmp_path / "a.json").read_text())
    whole = written | {"config": {}}
    tried = [*odd_variants(whole)]
    tried += [whole | {"config": config} for config in odd_variants({"blocks": 1, "dropout": 0.0})]
    for odd in tried:
        (tmp_path / "a.json").write_text(json.dumps(odd))
        try:
            load_denoiser(path)
        except WeightsError as error:
            assert "a.json" in str(error) or "a.safetensors" in str(error)
            assert "\n" not in str(error) and len(str(error)) < 500


def test_fine_tuning_remakes_the_label_embedding_only(tmp_path):
    path = tmp_path / "a.safetensors"
    source = make(classes=3)
    save_weights(path, source.state_dict(), describe(source))
    target = make(classes=5, gain=0.0)
    assert initialise_from(target, path) == ["unet.label_embedding.weight"]
    assert target.unet.label_embedding.weight.shape[1] == 5
    torch.testing.assert_close(target.unet.output.weight, source.unet.output.weight)
    assert target.unet.output_gain == 1.0
    with pytest.raises(WeightsError, match=r"unet\.input\.weight is \[16, 2, 3, 3\]"):
        initialise_from(make((3, 8, 8)), path)
    wider = make(config=SMALL.model_copy(update={"blocks": 2}))
    with pytest.raises(WeightsError, match=r"train\.init_from"):
        initialise_from(wider, path)


def named(names, config=SMALL):
    return Denoiser((1, 8, 8), len(names), config, label_names=names)


def test_names_of_classes_travel_with_the_weights(tmp_path):
    path = tmp_path / "a.safetensors"
    denoiser = named(["cat", "dog", "caf\u00e9"])
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    assert load_denoiser(path).label_names == ("cat", "dog", "caf\u00e9")
    old = {key: value for key, value in describe(denoiser).items() if key != "label_names"}
    save_weights(path, denoiser.state_dict(), old)
    assert load_denoiser(path).label_names == ()
    for names in (["cat"], "abc", [1, 2, 3], None):
        save_weights(path, denoiser.state_dict(), old | {"label_names": names})
        with pytest.raises(WeightsError, match=r"a\.safetensors does not describe.*names"):
            load_denoiser(path)
    unconditional = SMALL.model_copy(update={"class_conditional": False})
    assert named(["cat", "dog"], unconditional).label_names == ()


def test_fine_tuning_finds_classes_by_their_names(tmp_path):
    """The label embedding goes by names where both sides name the same classes."""
    path = tmp_path / "a.safetensors"
    config = SMALL.model_copy(update={"adapter_rank": 3})
    source = named(["a", "b", "c"], config)
    own = source.state_dict()
    for tensor in own.values():
        if tensor.is_floating_point():
            tensor.normal_()
    save_weights(path, own, describe(source))
    for names, order in ((["c", "a", "b"], [2, 0, 1]), (["x", "y", "z"], [0, 1, 2])):
        target = named(names, config)
        assert initialise_from(target, path) == []
        for name, tensor in target.state_dict().items():
            inputs = "label_embedding" in name and not name.endswith(".up")
            assert torch.equal(tensor, own[name][:, order] if inputs else own[name]), name
    save_weights(path, own, describe(source) | {"label_names": 3})
    with pytest.raises(WeightsError, match=r"train\.init_from: the JSON beside .*no list"):
        initialise_from(source, path)


def test_description_is_json(tmp_path):
    assert json.loads(json.dumps(describe(make())))["num_classes"] == 3
