"""A learned table of words: the encoder that needs no download."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from foundation.few_names import few
from foundation.json_hash import json_hash
from models.captions import SHOWN, CaptionTable, cut_remark, refuse_blank
from models.layers.magnitude_preserving import MPEmbedding, pixel_norm
from models.text_encoders.tokenizer import padded

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, in their order; signs between them are left out."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def vocabulary_of(captions: Iterable[str]) -> tuple[str, ...]:
    """All words of the captions, sorted."""
    return tuple(sorted({word for caption in captions for word in words_of(caption)}))


class WordTable(CaptionTable):
    """Captions as the words that they hold, each a vector that is learned with the denoiser.

    The pooled vector is the normalised sum of its words' vectors. Neither it nor attention sees
    the order of the words. Words outside the vocabulary are left out.

    Args:
        captions: of the labels.
        vocabulary: the words that have a vector, sorted.
        width: E, the length of a vector.
        most: T, the words of a caption that count; further ones are cut off.
    """

    words: Tensor

    def __init__(self, captions: Sequence[str], vocabulary: Sequence[str], width: int, most: int):
        index, mask = _numbered(captions, vocabulary, most)
        super().__init__(torch.empty(*index.shape, 0), mask, torch.empty(len(mask), 0))
        self.vocabulary, self.most = tuple(vocabulary), most
        self.set_table(words=index)
        self.table = MPEmbedding(len(self.vocabulary), width)

    @property
    def width(self) -> int:
        return self.table.weight.shape[1]

    def look_up(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mask = self.mask[rows]
        tokens = self.table(self.words[rows]) * mask[..., None]
        return pixel_norm(tokens.sum(1), dim=-1), tokens, mask

    def ask(self, captions: Sequence[str]) -> list[str]:
        refuse_blank(captions)
        remarks, known = [], set(self.vocabulary)
        for caption in captions:
            words = words_of(caption)
            unknown = [word for word in words if word not in known]
            if len(unknown) == len(words):
                some = ", ".join(self.vocabulary[:SHOWN])
                raise ValueError(
                    f"prompt {caption!r:.80}: no word of it is among the {len(known):,} that these "
                    f"weights were trained with: use some of them, such as {some} (the JSON beside "
                    "the weights lists all)"
                )
            if unknown:
                remarks.append(
                    f"prompt {caption!r:.80}: unknown words left out: {few(unknown, SHOWN)}"
                )
            if len(words) - len(unknown) > self.most:
                remarks.append(cut_remark(caption, self.most))
        index, mask = _numbered(captions, self.vocabulary, self.most)
        self.set_table(words=index, mask=mask)
        return remarks

    def describe(self) -> dict[str, Any]:
        return {
            "encoder": "words",
            "sha256": json_hash(list(self.vocabulary)),
            "vocabulary": list(self.vocabulary),
        }


def described_vocabulary(text: Mapping[str, Any]) -> tuple[str, ...]:
    """The vocabulary of a stored description. Raises ValueError for anything else."""
    words = text.get("vocabulary")
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError("its text holds no vocabulary")
    return tuple(words)


def _numbered(
    captions: Sequence[str], vocabulary: Sequence[str], most: int
) -> tuple[Tensor, Tensor]:
    """Numbers of the captions' words int64 [M, T], 0 in padding, and where they are words."""
    number = {word: row for row, word in enumerate(vocabulary)}
    rows = [[number[w] for w in words_of(c) if w in number][:most] for c in captions]
    return padded(rows)
