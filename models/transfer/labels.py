"""Classes and words that two denoisers name alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from models.denoiser import Denoiser
from models.text_encoders.words import WordTable, described_vocabulary

LABELS = "unet.label_embedding.weight"
"""The vectors of classes, [E, K]; with captions the map of theirs."""
WORDS = "conditions.table.weight"
"""The vectors of words, [V, E]."""


def of_labels(name: str) -> bool:
    """Whether the tensor belongs to the label embedding."""
    return name.startswith("unet.label_embedding.")


def in_order_of(
    own: Sequence[str], names: Sequence[str], tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors with the inputs of the label embedding moved from classes `names` to `own`.

    They stay where the two do not name the same classes.
    """
    if list(own) == list(names) or len(set(own)) < len(own) or sorted(own) != sorted(names):
        return tensors
    order = [list(names).index(name) for name in own]
    inputs = (LABELS, ".down")  # [E, K], and [rank, K] of adapters
    return {
        name: tensor[:, order] if of_labels(name) and name.endswith(inputs) else tensor
        for name, tensor in tensors.items()
    }


def same_classes(own: int, names: Sequence[str], other: int, known: Sequence[str]) -> Any:
    """Positions of classes that both sides know, int64 [n] in each.

    own, other: numbers of classes; names, known: theirs. They go by names where any name is on both
    sides, and else by their order.
    """
    shared = [name for name in dict.fromkeys(names) if name in known]
    if not shared:
        first = torch.arange(min(own, other))
        return first, first
    return tuple(
        torch.tensor([list(side).index(name) for name in shared]) for side in (names, known)
    )


def same_words(denoiser: Denoiser, description: Mapping[str, Any]) -> tuple[Tensor, Tensor] | None:
    """Rows of words in this denoiser's table and in the stored one; None where one has none."""
    words, text = denoiser.conditions, description.get("text")
    if not isinstance(words, WordTable) or not isinstance(text, Mapping):
        return None
    stored = {word: row for row, word in enumerate(described_vocabulary(text))}
    pairs = [(row, stored[w]) for row, w in enumerate(words.vocabulary) if w in stored]
    here, there = zip(*pairs, strict=True) if pairs else ((), ())
    return torch.tensor(here, dtype=torch.int64), torch.tensor(there, dtype=torch.int64)


def with_own_words(
    denoiser: Denoiser, description: Mapping[str, Any], tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors with a table of this denoiser's words: known ones as stored, others as here."""
    rows, stored = same_words(denoiser, description), tensors.get(WORDS)
    if rows is None or stored is None:
        return tensors
    own = denoiser.get_parameter(WORDS).detach()
    if own.shape[1] != stored.shape[1]:
        return tensors
    table = own.clone()
    table[rows[0]] = stored[rows[1]].to(own)
    return tensors | {WORDS: table}
