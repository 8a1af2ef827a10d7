"""Frozen encoders, on random weights, against transformers or a second computation by hand."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.config import ModelConfig
from models.text_encoders.clip import clip_text
from models.text_encoders.minilm import bert

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "ball", "box", "on")
WIDTH, HEADS, LAYERS, INNER = 24, 3, 2, 40
INDEX = torch.tensor([[2, 5, 6, 3, 0, 0], [2, 4, 5, 7, 8, 3]])
MASK = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])


def random_tensors(shapes, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=draw) * 0.3 + (name.endswith("orm.weight"))
        for name, shape in shapes.items()
    }


def bert_tensors():
    shapes = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), WIDTH),
        "embeddings.position_embeddings.weight": (80, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        **_norm("embeddings.LayerNorm"),
    }
    for number in range(LAYERS):
        at = f"encoder.layer.{number}."
        for name in ("query", "key", "value"):
            shapes |= _linear(f"{at}attention.self.{name}", WIDTH, WIDTH)
        shapes |= _linear(f"{at}attention.output.dense", WIDTH, WIDTH)
        shapes |= _norm(f"{at}attention.output.LayerNorm") | _norm(f"{at}output.LayerNorm")
        shapes |= _linear(f"{at}intermediate.dense", INNER, WIDTH)
        shapes |= _linear(f"{at}output.dense", WIDTH, INNER)
    return random_tensors(shapes)


def clip_tensors():
    shapes = {
        "text_model.embeddings.token_embedding.weight": (len(VOCABULARY), WIDTH),
        "text_model.embeddings.position_embedding.weight": (77, WIDTH),
        **_norm("text_model.final_layer_norm"),
    }
    for number in range(LAYERS):
        at = f"text_model.encoder.layers.{number}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{at}self_attn.{name}", WIDTH, WIDTH)
        shapes |= _norm(f"{at}layer_norm1") | _norm(f"{at}layer_norm2")
        shapes |= _linear(f"{at}mlp.fc1", INNER, WIDTH) | _linear(f"{at}mlp.fc2", WIDTH, INNER)
    return random_tensors(shapes)


def _linear(name, rows, columns):
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _norm(name):
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


class ByHand:
    """The published formulas in float64 numpy: one text, head by head."""

    def __init__(self, tensors):
        self.t = {name: tensor.double().numpy() for name, tensor in tensors.items()}

    def linear(self, name, x):
        return x @ self.t[f"{name}.weight"].T + self.t[f"{name}.bias"]

    def norm(self, name, x, eps):
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + eps)
        return scaled * self.t[f"{name}.weight"] + self.t[f"{name}.bias"]

    def attention(self, names, x, causal):
        q, k, v = (self.linear(name, x) for name in names)
        out, each = np.empty_like(q), WIDTH // HEADS
        for head in range(HEADS):
            part = slice(head * each, (head + 1) * each)
            logits = q[:, part] @ k[:, part].T / math.sqrt(each)
            if causal:
                logits[np.triu_indices(len(x), 1)] = -np.inf
            weights = np.exp(logits - logits.max(1, keepdims=True))
            out[:, part] = weights / weights.sum(1, keepdims=True) @ v[:, part]
        return out

    def bert(self, tokens):
        t = self.t
        x = t["embeddings.word_embeddings.weight"][tokens]
        x = x + t["embeddings.position_embeddings.weight"][: len(tokens)]
        x = x + t["embeddings.token_type_embeddings.weight"][0]
        x = self.norm("embeddings.LayerNorm", x, 1e-12)
        for n in range(LAYERS):
            at = f"encoder.layer.{n}."
            names = [f"{at}attention.self.{name}" for name in ("query", "key", "value")]
            y = self.linear(f"{at}attention.output.dense", self.attention(names, x, False))
            x = self.norm(f"{at}attention.output.LayerNorm", x + y, 1e-12)
            y = self.linear(f"{at}intermediate.dense", x)
            y = y * np.vectorize(lambda a: (1 + math.erf(a / math.sqrt(2))) / 2)(y)
            x = self.norm(f"{at}output.LayerNorm", x + self.linear(f"{at}output.dense", y), 1e-12)
        return x

    def clip(self, tokens):
        x = self.t["text_model.embeddings.token_embedding.weight"][tokens]
        x = x + self.t["text_model.embeddings.position_embedding.weight"][: len(tokens)]
        for n in range(LAYERS):
            at = f"text_model.encoder.layers.{n}."
            names = [f"{at}self_attn.{name}_proj" for name in "qkv"]
            y = self.attention(names, self.norm(f"{at}layer_norm1", x, 1e-5), True)
            x = x + self.linear(f"{at}self_attn.out_proj", y)
            y = self.linear(f"{at}mlp.fc1", self.norm(f"{at}layer_norm2", x, 1e-5))
            x = x + self.linear(f"{at}mlp.fc2", y / (1 + np.exp(-1.702 * y)))
        return self.norm("text_model.final_layer_norm", x, 1e-5)


@pytest.mark.parametrize("kind", ["bert", "clip"])
def test_hidden_states_are_those_of_the_formulas_and_padding_changes_none(kind):
    tensors = bert_tensors() if kind == "bert" else clip_tensors()
    ours = (bert if kind == "bert" else clip_text)(tensors, INDEX, MASK, HEADS)
    for row, visible in zip(range(2), MASK, strict=True):
        expected = getattr(ByHand(tensors), kind)(INDEX[row][visible].numpy())
        found = ours[row][visible].double()
        torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=2e-5)


def test_hidden_states_are_those_of_transformers():
    import transformers

    sizes = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS}
    sizes |= {"intermediate_size": INNER, "vocab_size": len(VOCABULARY)}
    torch.manual_seed(0)
    config = transformers.BertConfig(**sizes, max_position_embeddings=80)
    theirs = transformers.BertModel(config).eval()
    expected = theirs(INDEX, MASK.long()).last_hidden_state
    ours = bert(theirs.state_dict(), INDEX, MASK, HEADS)
    torch.testing.assert_close(ours[MASK], expected[MASK], rtol=0, atol=1e-5)
    config = transformers.CLIPTextConfig(**sizes, max_position_embeddings=77)
    theirs = transformers.CLIPTextModel(config).eval()
    expected = theirs(INDEX, MASK.long()).last_hidden_state
    ours = clip_text(theirs.state_dict(), INDEX, MASK, HEADS)
    torch.testing.assert_close(ours[MASK], expected[MASK], rtol=0, atol=1e-5)


def folder_of(path, tensors, heads=HEADS):
    """An encoder's folder with a tokenizer of whole words."""
    tokenizers = pytest.importorskip("tokenizers")
    path.mkdir()
    numbers = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=12)  # as sentence-transformers store it
    tokenizer.save(str(path / "tokenizer.json"))
    save_file(tensors, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps({"num_attention_heads": heads}))
    return path


def table_of(kind, path, captions, **fields):
    config = ModelConfig.model_validate({"text": {"kind": kind, "path": str(path), **fields}})
    return config.text.make(captions, None), config.text


CAPTIONS = ("red ball", "a red box on a ball")


@pytest.mark.parametrize("kind", ["minilm", "clip", "static"])
def test_a_folder_becomes_a_table_of_captions(tmp_path, kind):
    static = {"embedding": torch.randn(len(VOCABULARY), WIDTH).half()}
    tensors = {"minilm": bert_tensors, "clip": clip_tensors, "static": lambda: static}[kind]()
    table, config = table_of(kind, folder_of(tmp_path / "encoder", tensors), CAPTIONS)
    assert (table.num_classes, table.width) == (2, WIDTH)
    condition = table.embed(torch.tensor([1, -1, 0]), 3, torch.device("cpu"), torch.float32)
    ends = 0 if kind == "static" else 2
    assert condition.mask.sum(1).tolist() == [6 + ends, 0, 2 + ends]
    squares = condition.vector.square().mean(1)
    torch.testing.assert_close(squares, torch.tensor([1.0, 0, 1]), rtol=0, atol=1e-4)
    assert table.ask(["a red box on a ball"]) == []
    again = table.embed(torch.tensor([0]), 1, torch.device("cpu"), torch.float32)
    torch.testing.assert_close(again.vector[0], condition.vector[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(again.tokens[0], condition.tokens[0], rtol=0, atol=1e-5)
    stored = table.describe()
    assert stored["encoder"] == kind and len(stored["sha256"]) == 64
    assert config.make(CAPTIONS, stored).describe() == stored
    with pytest.raises(ValueError, match="is another encoder") as error:
        config.make(CAPTIONS, stored | {"sha256": "0" * 64})
    assert "\n" not in str(error.value)
    assert table_of(kind, tmp_path / "encoder", CAPTIONS, tokens=3)[0].embed(
        torch.tensor([1]), 1, torch.device("cpu"), torch.float32
    ).mask.shape == (1, 3)


def test_vectors_of_another_length_than_the_width_are_refused_in_one_line(tmp_path):
    folder = folder_of(tmp_path / "encoder", clip_tensors())
    assert table_of("clip", folder, CAPTIONS, width=WIDTH)[0].width == WIDTH
    with pytest.raises(ValueError, match=f"width: 768, but .* have {WIDTH} numbers") as error:
        table_of("clip", folder, CAPTIONS, width=768)
    assert "\n" not in str(error.value)
    config = table_of("clip", folder, CAPTIONS)[1]
    assert "width" not in config.model_dump(mode="json")


@pytest.mark.parametrize("kind", ["minilm", "clip", "static"])
def test_words_that_the_encoder_does_not_know_are_told(tmp_path, kind):
    static = {"embedding": torch.randn(len(VOCABULARY), WIDTH)}
    tensors = {"minilm": bert_tensors, "clip": clip_tensors, "static": lambda: static}[kind]()
    table, _ = table_of(kind, folder_of(tmp_path / "encoder", tensors), CAPTIONS)
    assert table.ask(["red ball"]) == []
    (remark,) = table.ask(["a red ball", "red zebra"])
    assert "'red zebra'" in remark and remark.endswith("unknown to the encoder: zebra")
    with pytest.raises(ValueError, match="'zebra moon': the encoder knows no word of it") as error:
        table.ask(["red ball", "zebra moon"])
    assert "\n" not in str(error.value)
    assert table.captions == ("a red ball", "red zebra")  # as before


@pytest.mark.parametrize("kind", ["minilm", "clip", "static"])
def test_a_prompt_that_is_cut_is_told(tmp_path, kind):
    static = {"embedding": torch.randn(len(VOCABULARY), WIDTH)}
    tensors = {"minilm": bert_tensors, "clip": clip_tensors, "static": lambda: static}[kind]()
    folder = folder_of(tmp_path / "encoder", tensors)
    table, _ = table_of(kind, folder, CAPTIONS, tokens=3)
    counted = 3 if kind == "static" else 1  # without the two marks of its ends
    fits, longer = (" ".join(["red"] * (counted + more)) for more in (0, 1))
    assert table.ask([fits, longer]) == [
        f"prompt {longer!r}: only its first {counted} tokens count"
    ]
    assert torch.equal(table.pooled[0], table.pooled[1])


@pytest.mark.parametrize("kind", ["minilm", "clip"])
def test_too_few_tokens_for_a_word_between_the_marks_are_refused(kind):
    text = {"kind": kind, "path": "nowhere"}
    assert ModelConfig.model_validate({"text": text | {"tokens": 3}})
    assert ModelConfig.model_validate({"text": {"kind": "static", "tokens": 1}})
    with pytest.raises(ValueError, match=r"text.*tokens\n.*at least 3 are needed: 2 mark the ends"):
        ModelConfig.model_validate({"text": text | {"tokens": 2}})


def test_a_static_table_of_small_integers_in_npy(tmp_path):
    folder = folder_of(tmp_path / "encoder", {"x": torch.zeros(2, 2)})
    (folder / "model.safetensors").unlink()
    matrix = np.random.default_rng(0).integers(-128, 128, (9, 6)).astype(np.int8)
    np.save(folder / "table.npy", matrix)
    table, _ = table_of("static", folder, ("red ball",))
    mean = matrix[[5, 6]].astype(float).sum(0)
    vector = table.embed(torch.tensor([0]), 1, torch.device("cpu"), torch.float64).vector[0]
    expected = torch.from_numpy(mean / np.sqrt((mean**2).mean()))
    torch.testing.assert_close(vector, expected, rtol=0, atol=1e-4)


def test_a_static_table_may_share_rows_and_weigh_tokens(tmp_path):
    rows = torch.randint(-128, 128, (3, 6), generator=torch.Generator().manual_seed(0)).char()
    weights = torch.linspace(0.5, 1.3, 9)
    shared = {"embeddings": rows, "mapping": torch.tensor([0, 0, 0, 0, 0, 2, 1, 1, 1])}
    folder = folder_of(tmp_path / "encoder", shared | {"weights": weights})
    table, _ = table_of("static", folder, ("red ball",))
    mean = rows[2].double() * weights[5] + rows[1].double() * weights[6]
    vector = table.embed(torch.tensor([0]), 1, torch.device("cpu"), torch.float64).vector[0]
    torch.testing.assert_close(vector, mean / mean.square().mean().sqrt(), rtol=0, atol=1e-4)
