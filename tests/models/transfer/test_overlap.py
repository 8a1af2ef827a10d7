"""Weights of another width, depth, resolution, list of classes or number of channels."""

import json
import math

import pytest
import torch

from models.config import ModelConfig
from models.denoiser import Denoiser, describe
from models.layers.low_rank_adapter import add_adapters
from models.layers.magnitude_preserving import MPConv
from models.text_encoders.configs import WordsConfig
from models.transfer import copy_from, overlap
from models.transfer.blocks import block
from models.transfer.layouts import positions
from models.weights import WeightsError, save_weights

BASE = ModelConfig(
    channels=8,
    channel_mult=(1, 2),
    blocks=1,
    attention_resolutions=(4,),
    channels_per_head=8,
)
NAMES = ("a", "b", "c")


def make(shape=(1, 8, 8), names=NAMES, seed=0, **changes):
    torch.manual_seed(seed)
    denoiser = Denoiser(shape, len(names), BASE.model_copy(update=changes), label_names=names)
    for name, parameter in denoiser.named_parameters():
        if name.endswith("gain"):
            torch.nn.init.uniform_(parameter, 0.2, 0.4)
    return denoiser.eval().requires_grad_(False)


@pytest.fixture
def stored(tmp_path):
    def save(denoiser, **facts):
        path = tmp_path / "source.safetensors"
        save_weights(path, denoiser.state_dict(), describe(denoiser) | facts)
        return path

    return save


def units(weight):
    rows = weight.flatten(1)
    return (rows / rows.norm(dim=1, keepdim=True)).view(weight.shape)


def drawn(denoiser, count=64):
    """Images, noise levels and labels, for which two denoisers are compared."""
    generator = torch.Generator().manual_seed(1)
    sigma = torch.rand(count, generator=generator) * 2 + 0.05
    x = torch.randn(count, *denoiser.image_shape, generator=generator) * sigma[:, None, None, None]
    return x, sigma, torch.arange(count) % 4 - 1


@pytest.mark.parametrize("names", [NAMES, ("c", "a", "b"), ("x", "y", "z")])
def test_a_copy_of_the_same_shape_is_that_of_matching_weights_bit_for_bit(stored, names):
    source = make()
    source.unet.input.weight.mul_(0.9)  # an average has shorter rows
    path, copies = stored(source), [make(names=names, seed=s) for s in (1, 2)]
    whole, matching = (
        copy_from(d, path, overlap=o) for d, o in zip(copies, (True, False), strict=True)
    )
    for name, tensor in copies[0].state_dict().items():
        assert torch.equal(tensor, copies[1].state_dict()[name]), name
    assert set(whole.whole) == set(source.state_dict()) and not whole.part + whole.fresh
    assert (matching.part, matching.fresh, whole.numbers) == ((), (), whole.parameters)


def test_a_wider_network_computes_nearly_what_the_source_does(stored, monkeypatch):
    source = make()
    path, wide, fresh = stored(source), make(channels=16, seed=1), make(channels=16, seed=1)
    copied = copy_from(wide, path, overlap=True)
    given = drawn(source)
    wanted = source(*given)
    apart = [(d(*given) - wanted).square().mean() for d in (wide, fresh)]
    assert apart[0] < 0.02 * apart[1]
    for name, module in wide.named_modules():
        if isinstance(module, MPConv):
            mean = module.weight.flatten(1).square().mean(1).sqrt()
            torch.testing.assert_close(mean, torch.ones_like(mean), msg=name)
    assert copied.numbers == sum(p.numel() for p in source.parameters())
    assert "in part" in copied.told() and "\n" not in copied.told()
    # An old row that listens to new channels no longer computes its old channel.
    monkeypatch.setattr(overlap, "block", lambda *a, silent: block(*a, silent=False))
    loud = make(channels=16, seed=1)
    copy_from(loud, path, overlap=True)
    assert (loud(*given) - wanted).square().mean() > 10 * apart[0]


@pytest.mark.parametrize("channels", [4, 12, 16])
def test_blocks_are_those_of_the_source_where_channels_mean_the_same(stored, channels):
    source, own = make(), make(channels=channels, seed=1, channels_per_head=4)
    before = {n: t.clone() for n, t in own.state_dict().items()}
    copy_from(own, stored(source), overlap=True)
    a, b = source.unet, own.unet
    few = min(8, channels)

    def same(one, other):  # up to the length of rows
        torch.testing.assert_close(units(one), units(other))

    same(b.encoder[0].conv1.weight[:few, :few], a.encoder[0].conv1.weight[:few, :few])
    assert channels <= 8 or not b.encoder[0].conv1.weight[:8, 8:].any()
    # these read the block before, of 2C channels, then a skip of 2C or C
    for number, times in ((0, 2), (1, 1)):
        old, new = a.decoder[number].conv0.weight, b.decoder[number].conv0.weight
        first = new[: 2 * few, : 2 * few], new[: 2 * few, 2 * channels :][:, : times * few]
        other = old[: 2 * few, : 2 * few], old[: 2 * few, 16:][:, : times * few]
        for one, two in zip(first, other, strict=True):
            same(one, two)
    # queries, keys and values take turns within a head: [heads, C / heads, 3]
    old = a.middle[0].attention
    new = b.middle[0].attention
    heads, each = min(old.heads, new.heads), 4
    one = new.qkv.weight.view(new.heads, each, 3, -1)[:heads, :, :, : 2 * few]
    other = old.qkv.weight.view(old.heads, 8, 3, -1)[:heads, :each, :, : 2 * few]
    same(one.flatten(0, 2), other.flatten(0, 2))
    one = new.project.weight.view(2 * channels, new.heads, each)[: 2 * few, :heads]
    other = old.project.weight.view(16, old.heads, 8)[: 2 * few, :heads, :each]
    same(one, other)
    # the neighbours' and the differences' channels of a message
    new, old = b.structure[0].message.weight, a.structure[0].message.weight
    same(
        new.view(64, 2, 2 * channels)[..., : 2 * few].flatten(1),
        old.view(64, 2, 16)[..., : 2 * few].flatten(1),
    )
    assert torch.equal(b.noise_features.phases[:few], a.noise_features.phases[:few])
    assert torch.equal(b.noise_features.phases[8:], before["unet.noise_features.phases"][8:])
    out = own(*drawn(own))
    assert out.isfinite().all() and 0.05 < out.std() < 2


def test_classes_go_by_names_where_any_is_shared(stored):
    source = make()
    path, names = stored(source), ("new", "c", "a", "other")
    own = make(names=names, seed=1)
    before = own.unet.label_embedding.weight.clone()
    copied = copy_from(own, path, overlap=True)
    after, old = own.unet.label_embedding.weight, source.unet.label_embedding.weight
    raw = before.clone()
    raw[:, [1, 2]] = units(old)[:, [2, 0]] * math.sqrt(3)
    torch.testing.assert_close(units(after), units(raw))
    assert copied.part == ("unet.label_embedding.weight",) and not copied.fresh
    unnamed = make(names=("p", "q"), seed=1)
    copy_from(unnamed, path, overlap=True)
    torch.testing.assert_close(units(unnamed.unet.label_embedding.weight), units(old[:, :2]))
    none = make(names=(), seed=1)
    assert copy_from(none, path, overlap=True).left == ("unet.label_embedding.weight",)


def test_a_grey_network_answers_in_each_channel_and_the_reverse(stored):
    grey, colour = make(), make((3, 8, 8), seed=1)
    copy_from(colour, stored(grey), overlap=True)
    x, level = torch.randn(4, 1, 8, 8), torch.randn(4)
    seen = x.repeat(1, 3, 1, 1) / math.sqrt(3)
    condition = grey.conditions.embed(None, 4, x.device, x.dtype)
    one = grey.unet.decode(grey.unet.encode(x, level, condition))
    three = colour.unet.decode(colour.unet.encode(seen, level, condition))
    torch.testing.assert_close(three, one.repeat(1, 3, 1, 1), rtol=1e-4, atol=1e-5)

    source, back = make((3, 8, 8), seed=2), make(seed=3)
    copied = copy_from(back, stored(source), overlap=True)
    assert {"unet.input.weight", "unet.output.weight", "unet.output_gain"} == set(copied.part)
    hidden = torch.randn(4, 8, 8, 8)
    mean = source.unet.output(hidden, gain=source.unet.output_gain).mean(1, keepdim=True)
    torch.testing.assert_close(
        back.unet.output(hidden, gain=back.unet.output_gain), mean, rtol=1e-3, atol=1e-3
    )
    summed = source.unet.input.weight[:, :3].sum(1), source.unet.input.weight[:, 3]
    torch.testing.assert_close(units(back.unet.input.weight), units(torch.stack(summed, 1)))
    other = make((2, 8, 8), seed=3)  # neither is grey: channels keep their places
    copy_from(other, stored(source), overlap=True)
    kept = source.unet.input.weight[:, [0, 1, 3]]
    torch.testing.assert_close(units(other.unet.input.weight), units(kept))


def test_another_resolution_has_other_attention_and_else_the_same(stored):
    source, own = make(), make((1, 16, 16), seed=1)
    copied = copy_from(own, stored(source), overlap=True)
    assert not copied.part and not copied.fresh  # no level is 4 pixels wide
    assert copied.left and all(".attention." in name for name in copied.left)
    assert "without a place here: unet." in copied.told()
    own = make((1, 16, 16), seed=1, attention_resolutions=(8, 16))
    copied = copy_from(own, stored(source), overlap=True)
    assert copied.fresh and all(".attention." in name for name in copied.fresh)
    assert "; new: unet." in copied.told()


def test_levels_of_a_deeper_network_are_those_of_the_same_resolution(stored):
    source, own = make(attention_resolutions=()), make(channel_mult=(1, 2, 2), seed=1)
    copied = copy_from(own, stored(source), overlap=True)
    a, b = source.unet, own.unet
    assert torch.equal(b.encoder[2].conv0.weight, a.encoder[2].conv0.weight)
    assert torch.equal(b.decoder[-1].conv1.weight, a.decoder[-1].conv1.weight)
    assert torch.equal(b.decoder[5].conv1.weight, a.decoder[2].conv1.weight)  # up to level 0
    assert "unet.decoder.0.conv0.weight" in copied.fresh
    assert not [name for name in copied.left if "attention" not in name]
    back = make(seed=2, attention_resolutions=())
    copied = copy_from(back, stored(own), overlap=True)
    assert torch.equal(back.unet.decoder[2].conv1.weight, b.decoder[5].conv1.weight)
    assert any(name.startswith("unet.decoder.0.") for name in copied.left)


def test_words_that_both_know_keep_their_vectors(tmp_path, stored):
    def worded(captions, width, seed):
        torch.manual_seed(seed)
        config = BASE.model_copy(update={"text": WordsConfig(width=width, tokens=4)})
        return Denoiser((1, 8, 8), len(captions), config, label_names=captions)

    source, own = worded(("red box", "ball"), 8, 0), worded(("a box", "ball"), 12, 1)
    fresh = own.conditions.table.weight.detach().clone()
    copied = copy_from(own, stored(source), overlap=True)
    rows, old = own.conditions.table.weight, source.conditions.table.weight
    for word in ("box", "ball"):
        row = rows[own.conditions.vocabulary.index(word)]
        known = old[source.conditions.vocabulary.index(word)]
        torch.testing.assert_close(row[:8] / row[:8].norm(), known / known.norm())
    assert torch.equal(rows[0], fresh[0])  # "a"
    assert "conditions.table.weight" in copied.part
    plain = make(seed=1)
    assert "unet.label_embedding.weight" in copy_from(plain, stored(source), overlap=True).fresh


def test_adapters_are_kept_where_they_fit(stored):
    source = make(adapter_rank=2)
    add_adapters(source.unet, "further", 1)
    path = stored(source)
    own, wide = make(adapter_rank=2, seed=1), make(adapter_rank=2, channels=16, seed=1)
    assert not copy_from(own, path, overlap=True).fresh
    copied = copy_from(wide, path, overlap=True)
    assert copied.fresh and all(".adapters.game." in name for name in copied.fresh)


def test_kernels_share_their_centres():
    own, small = torch.randn(2, 2, 3, 3), torch.randn(2, 2, 1, 1)
    pair = (torch.arange(2), torch.arange(2))
    grown = block(own, small, pair, pair, silent=True).tensor
    torch.testing.assert_close(units(grown[..., 1:2, 1:2]), units(small))
    assert grown.count_nonzero() == 4
    cut = block(small, own, pair, pair, silent=True).tensor
    torch.testing.assert_close(units(cut), units(own[..., 1:2, 1:2]))
    one, other = positions(((2, 3),), ((6,),))  # of other axes: in their order
    assert torch.equal(one, torch.arange(6)) and torch.equal(other, one)


def test_a_description_of_no_network_is_one_line(stored, tmp_path):
    source = make()
    for config in ({"channels": "many"}, None, 3):
        path = stored(source, config=config)
        with pytest.raises(
            WeightsError, match=r"train\.init_from: the JSON beside .* no denoiser"
        ) as e:
            copy_from(make(channels=16), path, overlap=True)
        assert "\n" not in str(e.value)
    assert json.loads(path.with_suffix(".json").read_text())["config"] == 3
    with pytest.raises(WeightsError, match=r"set train\.init_copy: overlap"):
        copy_from(make(channels=16), stored(source))
