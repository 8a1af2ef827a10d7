"""Labels that are captions: the rows of a table of encoded texts."""

from collections.abc import Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from foundation.few_names import few
from models.condition import Condition

SHOWN = 8
"""Words that a remark lists."""


class CaptionTable(nn.Module):
    """A label is a caption, by its row in a table; -1 asks for nothing, and shows no token.

    The table is no part of the weights: whoever has the captions and their encoder can make it
    again, and `ask` replaces it by other captions.

    Args:
        tokens: [M, T, E].
        mask: bool [M, T], false where a token is padding.
        pooled: [M, E], rows of unit root mean square.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor

    def __init__(self, tokens: Tensor, mask: Tensor, pooled: Tensor):
        super().__init__()
        if mask.dtype != torch.bool or tokens.shape[:2] != mask.shape:
            raise ValueError(f"mask {mask.dtype} {list(mask.shape)}, tokens {list(tokens.shape)}")
        self.set_table(tokens=tokens, mask=mask, pooled=pooled)

    def set_table(self, **tensors: Tensor) -> None:
        """Keep these tensors as buffers that are not saved, on the device of those before."""
        for name, tensor in tensors.items():
            before = getattr(self, name, None)
            if before is not None:
                floats = tensor.is_floating_point()
                tensor = tensor.to(before.device, before.dtype if floats else tensor.dtype)
            self.register_buffer(name, tensor, persistent=False)

    @property
    def num_classes(self) -> int:
        """M, the number of captions."""
        return len(self.mask)

    @property
    def width(self) -> int:
        """E."""
        return self.pooled.shape[1]

    def embed(
        self, labels: Tensor | None, batch: int, device: torch.device, dtype: torch.dtype
    ) -> Condition | None:
        """Pooled vectors [B, E], tokens [B, T, E] and their mask; zeros where the label is -1."""
        if labels is None:
            labels = torch.full((batch,), -1)
        labels = labels.to(device)
        rows, asked = labels.clamp_min(0), labels >= 0
        vector, tokens, mask = self.look_up(rows)
        return Condition(
            (vector * asked[:, None]).to(dtype), tokens.to(dtype), mask & asked[:, None]
        )

    def look_up(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(pooled [B, E], tokens [B, T, E], mask [B, T]) of rows int64 [B]."""
        return self.pooled[rows], self.tokens[rows], self.mask[rows]

    def ask(self, captions: Sequence[str]) -> list[str]:
        """From now on label i is captions[i]; returns remarks, one line each.

        Raises ValueError for a caption that cannot be read. A plain table has no encoder.
        """
        raise ValueError("this table has no encoder: it knows its own captions only")

    def describe(self) -> dict[str, Any]:
        """What loading needs of the encoder, as JSON-able data."""
        return {}


class FrozenEncoder(Protocol):
    """A text encoder whose weights are not trained here; it loads them when it encodes."""

    @property
    def width(self) -> int:
        """E, the length of its vectors."""
        ...

    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """tokens [M, T, E], mask bool [M, T], pooled [M, E] of unit root mean square."""
        ...

    def unknown(self, captions: Sequence[str]) -> list[tuple[list[str], bool]]:
        """Of each caption the words that it does not know, and whether it knows no other."""
        ...

    def counted(self, captions: Sequence[str]) -> list[int | None]:
        """Of each caption how many of its first tokens count; None where all do."""
        ...

    def describe(self) -> dict[str, Any]:
        """Its kind and the hash of its files."""
        ...


class EncodedCaptions(CaptionTable):
    """The table that a frozen encoder makes of captions, when one is first asked for.

    Copies of a denoiser share the tensors of a table that is made, since nothing trains them.

    Args:
        encoder: of the captions.
        captions: of the labels.
    """

    def __init__(self, encoder: FrozenEncoder, captions: Sequence[str]):
        width = encoder.width
        super().__init__(
            torch.empty(0, 0, width), torch.empty(0, 0, dtype=torch.bool), torch.empty(0, width)
        )
        self.encoder, self.captions = encoder, tuple(captions)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """With buffers of its own, so that it moves alone, which are the same tensors at first."""
        copied = type(self)(self.encoder, self.captions)
        for name, tensor in self.named_buffers():
            copied.register_buffer(name, tensor, persistent=False)
        return copied.train(self.training)

    @property
    def num_classes(self) -> int:
        return len(self.captions)

    @property
    def _made(self) -> bool:
        return len(self.mask) == len(self.captions)

    def embed(
        self, labels: Tensor | None, batch: int, device: torch.device, dtype: torch.dtype
    ) -> Condition | None:
        """As of a table; where no label asks for anything, no table is made for it."""
        if labels is None or (not self._made and not self.training and bool((labels < 0).all())):
            vector = torch.zeros(batch, self.width, device=device, dtype=dtype)
            tokens = vector.new_empty(batch, 0, self.width)
            return Condition(vector, tokens, tokens.new_empty(batch, 0, dtype=torch.bool))
        return super().embed(labels, batch, device, dtype)

    def look_up(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if not self._made:
            self._set(self.captions, *self.encoder.encode(self.captions))
        return super().look_up(rows)

    def ask(self, captions: Sequence[str]) -> list[str]:
        refuse_blank(captions)
        remarks = []
        told = (self.encoder.unknown(captions), self.encoder.counted(captions))
        for caption, (words, alone), counted in zip(captions, *told, strict=True):
            if alone:
                raise ValueError(
                    f"prompt {caption!r:.80}: the encoder knows no word of it: use other words"
                )
            if words:
                remarks.append(
                    f"prompt {caption!r:.80}: unknown to the encoder: {few(words, SHOWN)}"
                )
            if counted is not None:
                remarks.append(cut_remark(caption, counted))
        self._set(captions, *self.encoder.encode(captions))
        return remarks

    def _set(self, captions: Sequence[str], tokens: Tensor, mask: Tensor, pooled: Tensor) -> None:
        self.set_table(tokens=tokens, mask=mask, pooled=pooled)
        self.captions = tuple(captions)

    def describe(self) -> dict[str, Any]:
        return self.encoder.describe()


def cut_remark(caption: str, counted: int) -> str:
    """That an encoder reads the caption's first tokens only."""
    return f"prompt {caption!r:.80}: only its first {counted} tokens count"


def refuse_blank(captions: Sequence[str]) -> None:
    """Raise ValueError for a caption without a letter."""
    for caption in captions:
        if not caption.strip():
            raise ValueError("an empty prompt asks for nothing: --labels -1 draws without a prompt")
