"""Captions as bags of learned words."""

import pytest
import torch

from models.config import ModelConfig
from models.text_encoders.words import WordTable, vocabulary_of, words_of

CAPTIONS = ("A red Ball.", "the cat's 2 balls", "Éclair, e\u0301clair!")


def test_words_are_in_lower_case_without_signs_and_accents_are_one_spelling():
    assert words_of("A sliced Lime, don't!") == ["a", "sliced", "lime", "don't"]
    assert words_of(CAPTIONS[2]) == ["éclair", "éclair"]
    assert vocabulary_of(CAPTIONS) == ("2", "a", "ball", "balls", "cat's", "red", "the", "éclair")


def make(most=16):
    torch.manual_seed(0)
    return WordTable(CAPTIONS, vocabulary_of(CAPTIONS), 6, most)


def test_the_pooled_vector_is_the_normalised_sum_of_the_words():
    words = make()
    vector, tokens, mask = words.look_up(torch.tensor([0, 2]))
    rows = words.table.weight[[1, 5, 2]]
    torch.testing.assert_close(tokens[0, :3], rows, atol=1e-4, rtol=1e-4)
    total = rows.sum(0)
    torch.testing.assert_close(vector[0], total / total.square().mean().sqrt(), atol=1e-4, rtol=0)
    assert mask.sum(1).tolist() == [3, 2]


def test_the_vectors_of_words_that_occur_get_gradients():
    words = make()
    condition = words.embed(torch.tensor([0, -1]), 2, torch.device("cpu"), torch.float32)
    (condition.tokens.square() * torch.arange(6)).sum().backward()
    moved = words.table.weight.grad.abs().sum(1) > 0
    assert [w for w, m in zip(words.vocabulary, moved, strict=True) if m] == ["a", "ball", "red"]


def test_long_captions_are_cut():
    assert make(most=2).mask.sum(1).tolist() == [2, 2, 2]


def test_prompts_drop_unknown_words_and_refuse_nothing_but_unknown_words():
    words = make()
    assert words.ask(["red balls", "a purple CAT'S"]) == [
        'prompt "a purple CAT\'S": unknown words left out: purple'
    ]
    assert words.num_classes == 2 and words.mask.sum(1).tolist() == [2, 2]
    for prompts, told in ((["purple dog"], "no word of it is among the 8"), ([" "], "empty")):
        with pytest.raises(ValueError, match=told) as error:
            words.ask(prompts)
        assert "\n" not in str(error.value)
    assert words.num_classes == 2  # a refusal changes nothing


def test_a_prompt_that_is_cut_is_told_and_unknown_words_do_not_count():
    words = make(most=2)
    assert words.ask(["red balls", "the purple ball"]) == [
        "prompt 'the purple ball': unknown words left out: purple"
    ]
    assert words.ask(["the red ball", "red ball"]) == [
        "prompt 'the red ball': only its first 2 tokens count"
    ]
    assert words.mask.sum(1).tolist() == [2, 2]


def test_captions_without_words_are_refused_before_any_training():
    config = ModelConfig.model_validate({"text": {"kind": "words"}})
    with pytest.raises(ValueError, match="no caption holds a word"):
        config.text.make(["!", "?"], None)
    with pytest.raises(ValueError, match="no vocabulary"):
        config.text.make(["a"], {"vocabulary": [3]})
