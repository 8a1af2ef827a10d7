"""Denoisers whose labels are captions: oracles of tables, of the null token and of guidance."""

import copy

import pytest
import torch

from models.captions import CaptionTable, EncodedCaptions
from models.config import ModelConfig
from models.denoiser import Denoiser, describe, load_denoiser
from models.layers.low_rank_adapter import adapter_names, add_adapters, switched_on
from models.transfer import initialise_from
from models.weights import WeightsError, save_weights
from sampling.guidance.classifier_free import ClassifierFree

CAPTIONS = ("a red ball", "a blue ball on a box", "box")
PLAIN = {"channels": 16, "blocks": 1, "channels_per_head": 16}
WORDS = ModelConfig.model_validate(PLAIN | {"text": {"kind": "words", "width": 8}})
X = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()
SIGMA = torch.tensor([0.1, 0.5, 2.0, 9.0]).double()
LABELS = torch.tensor([0, 2, -1, 1])


def make(config=WORDS, captions=CAPTIONS):
    torch.manual_seed(0)
    denoiser = Denoiser((1, 8, 8), len(captions), config, None, captions).double()
    with torch.no_grad():  # gains are 0 at first, which would hide captions and all else
        for name, parameter in denoiser.named_parameters():
            if name.endswith("gain"):
                parameter.fill_(0.5)
    return denoiser.eval().requires_grad_(False)


def table(length=5, width=8, captions=3, seed=3):
    """A table of random tokens, of which row m shows m + 1."""
    draw = torch.Generator().manual_seed(seed)
    mask = torch.arange(length) < 1 + torch.arange(captions)[:, None]
    tokens, pooled = (torch.randn(captions, *s, width, generator=draw) for s in ((length,), ()))
    return CaptionTable(tokens, mask, pooled).double()


class Encoder:
    """Encodes captions as the rows of `table`, and counts how often."""

    width, times = 8, 0

    def encode(self, captions):
        self.times += 1
        made = table(captions=len(captions))
        return made.tokens, made.mask, made.pooled

    def describe(self):
        return {}


def encoded():
    """A denoiser that reads an `Encoder`'s captions, and this encoder."""
    denoiser, encoder = make(), Encoder()
    denoiser.conditions = EncodedCaptions(encoder, CAPTIONS).double().eval()
    return denoiser, encoder


@pytest.mark.parametrize("labels", [None, torch.full((4,), -1)])
def test_where_nothing_is_asked_for_no_caption_is_encoded(labels):
    denoiser, encoder = encoded()
    none = denoiser(X, SIGMA, labels)
    assert encoder.times == 0
    out = denoiser(X, SIGMA, LABELS)
    assert encoder.times == 1 and (out - none).abs().amax((1, 2, 3))[0] > 1e-3
    torch.testing.assert_close(out[2], none[2], rtol=0, atol=1e-12)  # its label is -1
    torch.testing.assert_close(denoiser(X, SIGMA, labels), none, rtol=0, atol=1e-12)


def test_copies_share_the_encoded_table_and_move_alone():
    denoiser, encoder = encoded()
    expected = denoiser(X, SIGMA, LABELS)
    copied = copy.deepcopy(denoiser)
    names = {"tokens", "mask", "pooled"}
    assert {name for name, _ in copied.conditions.named_buffers()} == names
    for name in names:
        assert getattr(copied.conditions, name) is getattr(denoiser.conditions, name)
    assert copied.state_dict().keys() == denoiser.state_dict().keys()
    assert torch.equal(copied(X, SIGMA, LABELS), expected) and encoder.times == 1
    assert copied.float().conditions.tokens.dtype == torch.float32
    assert copied.to("meta").conditions.tokens.device.type == "meta"
    assert torch.equal(denoiser(X, SIGMA, LABELS), expected)
    other = copy.deepcopy(denoiser)
    other.conditions._set(["x"], *encoder.encode(["x"]))
    assert torch.equal(denoiser(X, SIGMA, LABELS), expected)


def test_pooled_one_hot_rows_without_tokens_are_classes():
    denoiser = make(ModelConfig(**PLAIN))
    expected = denoiser(X, SIGMA, LABELS)
    eye = 3**0.5 * torch.eye(3)
    denoiser.conditions = CaptionTable(
        torch.zeros(3, 0, 3), torch.zeros(3, 0, dtype=torch.bool), eye
    )
    torch.testing.assert_close(denoiser(X, SIGMA, LABELS), expected, rtol=0, atol=1e-6)
    denoiser.conditions.set_table(pooled=eye.flip(0))
    assert (denoiser(X, SIGMA, LABELS) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("length", [16, 77])
def test_padding_to_any_length_changes_nothing(length):
    denoiser = make()
    denoiser.conditions = short = table()
    expected = denoiser(X, SIGMA, LABELS)
    tokens, mask = torch.randn(3, length, 8), torch.zeros(3, length, dtype=torch.bool)
    tokens[:, :5], mask[:, :5] = short.tokens, short.mask
    denoiser.conditions = CaptionTable(tokens, mask, short.pooled)
    torch.testing.assert_close(denoiser(X, SIGMA, LABELS), expected, rtol=0, atol=1e-6)


def test_minus_one_is_the_null_token_alone_whatever_the_captions():
    denoiser = make()
    denoiser.conditions = table()
    none = denoiser(X, SIGMA)
    assert none.isfinite().all()
    assert torch.equal(denoiser(X, SIGMA, torch.full((4,), -1)), none)
    denoiser.conditions = table(seed=4)
    assert torch.equal(denoiser(X, SIGMA), none)
    assert (denoiser(X, SIGMA, torch.zeros(4, dtype=torch.int64)) - none).abs().max() > 1e-3
    denoiser.unet.null_token.row.weight.neg_()
    assert (denoiser(X, SIGMA) - none).abs().max() > 1e-4


def test_tokens_count_beside_the_pooled_vector():
    denoiser = make()
    denoiser.conditions = first = table()
    expected = denoiser(X, SIGMA, LABELS)
    denoiser.conditions = CaptionTable(-first.tokens, first.mask, first.pooled)
    changed = (denoiser(X, SIGMA, LABELS) - expected).abs().amax((1, 2, 3))
    assert (changed[LABELS >= 0] > 1e-4).all() and changed[2] == 0  # the third asks for nothing


def test_guidance_of_weight_one_is_none():
    denoiser = make()
    guided = ClassifierFree(denoiser, 1.0)(X, SIGMA, LABELS)
    torch.testing.assert_close(guided, denoiser(X, SIGMA, LABELS), rtol=0, atol=1e-12)
    assert (ClassifierFree(denoiser, 3.0)(X, SIGMA, LABELS) - guided).abs().max() > 1e-3


def test_swapping_two_captions_swaps_their_pictures():
    denoiser, swapped = make(), make()
    assert swapped.conditions.ask([CAPTIONS[2], CAPTIONS[1], CAPTIONS[0]]) == []
    labels = torch.tensor([2, 0, -1, 1])
    expected = denoiser(X, SIGMA, LABELS)
    torch.testing.assert_close(swapped(X, SIGMA, labels), expected, rtol=0, atol=1e-12)
    assert (swapped(X, SIGMA, LABELS) - expected).abs().max() > 1e-3


def test_a_network_without_text_has_the_weights_that_it_had():
    """Text adds layers; leaving it out draws the same initial weights, and stores no new key."""
    torch.manual_seed(0)
    plain = Denoiser((1, 8, 8), 3, ModelConfig(**PLAIN))
    first, last = plain.unet.encoder[2].attention.qkv.weight, plain.uncertainty.weight
    recorded = [-0.021556, 0.545282, 0.622409, 0.810476, -1.396193]
    assert [*first[0, :3, 0, 0].tolist(), *last[0, :2].tolist()] == pytest.approx(
        recorded, abs=1e-5
    )
    assert len(plain.state_dict()) == 68
    assert "text" not in ModelConfig().model_dump() and "text" not in describe(make(ModelConfig()))
    assert WORDS.model_dump()["text"]["width"] == 8


def test_weights_on_disk_hold_the_words_and_not_the_table(tmp_path):
    denoiser, path = make().float(), tmp_path / "a.safetensors"
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    loaded = load_denoiser(path)
    assert loaded.conditions.vocabulary == ("a", "ball", "blue", "box", "on", "red")
    out = loaded(X.float(), SIGMA.float(), LABELS)
    assert torch.equal(out, denoiser(X.float(), SIGMA.float(), LABELS))
    assert not {name for name in denoiser.state_dict() if "mask" in name or "words" in name}


def test_weights_of_more_than_a_million_captions_can_be_loaded(tmp_path):
    many = 1_000_001
    denoiser, path = make(captions=CAPTIONS).float(), tmp_path / "a.safetensors"
    names = [*CAPTIONS, *["box"] * (many - 3)]
    about = describe(denoiser) | {"num_classes": many, "label_names": names}
    save_weights(path, denoiser.state_dict(), about)
    assert load_denoiser(path).num_classes == many
    plain = make(ModelConfig(**PLAIN)).float()
    save_weights(path, plain.state_dict(), describe(plain) | {"num_classes": many})
    with pytest.raises(WeightsError, match="not a whole number from 0 to 1000000"):
        load_denoiser(path)


def test_fine_tuning_takes_over_the_words_that_both_know(tmp_path):
    old, path = make().float(), tmp_path / "a.safetensors"
    save_weights(path, old.state_dict(), describe(old))
    new = make(captions=("a green box", "red")).float()
    fresh = new.conditions.table.weight.clone()
    initialise_from(new, path)
    words, before = new.conditions, old.conditions
    for word in words.vocabulary:
        row = words.table.weight[words.vocabulary.index(word)]
        known = word in before.vocabulary
        source = before if known else words
        rows = before.table.weight if known else fresh
        assert torch.equal(row, rows[source.vocabulary.index(word)]), word
    assert torch.equal(new.unet.null_token.row.weight, old.unet.null_token.row.weight)


def test_adapters_act_on_cross_attention():
    denoiser = make()
    add_adapters(denoiser.unet, "own", 2)
    expected = denoiser(X, SIGMA, LABELS)
    layers = [
        m for n, m in denoiser.named_modules() if "cross_attention" in n and hasattr(m, "adapters")
    ]
    assert len(layers) == 12 and adapter_names(denoiser) == ["own"]
    for layer in layers:
        layer.adapters["own"].double().up.data.fill_(0.3)
    denoiser.double()
    with switched_on(denoiser, "own"):
        assert (denoiser(X, SIGMA, LABELS) - expected).abs().max() > 1e-4
    assert torch.equal(denoiser(X, SIGMA, LABELS), expected)


def test_text_without_captions_is_refused_in_one_line():
    for classes, names in ((0, ()), (3, ())):
        with pytest.raises(ValueError, match=r"model\.text needs") as error:
            Denoiser((1, 8, 8), classes, WORDS, None, names)
        assert "\n" not in str(error.value)


def test_a_table_alone_has_no_encoder_and_wants_a_mask_of_its_shape():
    with pytest.raises(ValueError, match="no encoder"):
        table().ask(["red"])
    with pytest.raises(ValueError, match="mask"):
        CaptionTable(torch.zeros(2, 3, 4), torch.zeros(2, 2, dtype=torch.bool), torch.zeros(2, 4))
