"""Tokens of captions by a tokenizer.json, through the library `tokenizers`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from models.text_encoders.errors import EncoderError


def tokenise(
    content: bytes, captions: Sequence[str], most: int, *, special: bool = True
) -> tuple[Tensor, Tensor]:
    """Token numbers int64 [M, T] of captions, 0 in padding, and bool [M, T], true at tokens.

    Args:
        content: of tokenizer.json.
        most: T is at most this; longer captions are cut, and keep their last special token.
        special: with the tokens that the tokenizer puts round a text.

    Raises a one-line ValueError where the library is missing or cannot read the content.
    """
    tokenizer = _tokenizer(content)
    tokenizer.enable_truncation(most)
    rows = [
        list(coded.ids)[:most]
        for coded in tokenizer.encode_batch(list(captions), add_special_tokens=special)
    ]
    return padded(rows)


def tokens_that_count(
    content: bytes, captions: Sequence[str], most: int, *, special: bool = True
) -> list[int | None]:
    """Of each caption how many of its own tokens `tokenise` keeps; None where it keeps all.

    content, most, special: as of `tokenise`.
    """
    tokenizer = _tokenizer(content)
    tokenizer.no_truncation()
    kept = most - (tokenizer.num_special_tokens_to_add(False) if special else 0)
    coded = tokenizer.encode_batch(list(captions), add_special_tokens=False)
    return [kept if len(one) > kept else None for one in coded]


def unknown_parts(content: bytes, captions: Sequence[str]) -> list[tuple[list[str], bool]]:
    """Of each caption the words that the tokenizer does not know, and whether it knows no other.

    content: of tokenizer.json. Tokenizers of letters or bytes know everything.
    """
    tokenizer = _tokenizer(content)
    tokenizer.no_truncation()
    unknown = getattr(tokenizer.model, "unk_token", None)
    found = []
    coded = tokenizer.encode_batch(list(captions), add_special_tokens=False)
    for caption, one in zip(captions, coded, strict=True):
        places = [at for token, at in zip(one.tokens, one.offsets, strict=True) if token == unknown]
        found.append(([caption[start:end] for start, end in places], len(places) == len(one)))
    return found


def _tokenizer(content: bytes) -> Any:
    """A tokenizer that pads nothing."""
    library = tokenizers_library()
    try:
        tokenizer = library.Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises Exception itself
        raise EncoderError(f"model.text.path: tokenizer.json is damaged ({error!s:.120})") from None
    tokenizer.no_padding()
    return tokenizer


def tokenizers_library() -> Any:
    """The module `tokenizers`. Raises a one-line ValueError where it is not installed."""
    try:
        import tokenizers
    except ImportError:
        raise EncoderError(
            "model.text: this encoder needs the library tokenizers: pip install tokenizers, or "
            "set model.text.kind to words"
        ) from None
    return tokenizers


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of numbers as int64 [M, T] with zeros behind them, and bool [M, T] where they are."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    length = max(1, max(map(len, rows), default=0))
    mask = torch.arange(length) < lengths[:, None]
    index = torch.zeros(mask.shape, dtype=torch.int64)
    index[mask] = torch.tensor([number for row in rows for number in row], dtype=torch.int64)
    return index, mask
