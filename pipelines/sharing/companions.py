"""The networks without which weights draw no picture: an autoencoder, an encoder of captions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.atomic_files import copy_whole
from foundation.json_files import read_object
from models.text_encoders.files import BESIDE, EncoderFiles
from models.weights import load_description
from models.weights_folder import DENOISER


@dataclass(frozen=True)
class Companions:
    """What one weights file needs besides; both are None for classes of pixels."""

    autoencoder: Path | None = None
    """The file that decodes its latents."""
    encoder: EncoderFiles | None = None
    """The files of its frozen encoder of captions."""

    def copy_to(self, folder: Path) -> None:
        """Write what can travel into an exported folder, where loading finds it.

        An encoder that an installed package brings stays there, under that package's name.
        """
        from models.autoencoder import FILE  # brings torch, which --help does without

        if self.autoencoder is not None:
            target = (folder / DENOISER).with_name(FILE)
            for suffix in (".safetensors", ".json"):
                copy_whole(self.autoencoder.with_suffix(suffix), target.with_suffix(suffix))
        if self.encoder is not None and not self.encoder.packaged:
            self.encoder.copy_to(folder / BESIDE)

    def described(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """The description that goes with the copies: a path of this machine is left out."""
        if self.encoder is None or self.encoder.packaged:
            return dict(description)
        config = description["config"]
        return {**description, "config": {**config, "text": {**config["text"], "path": BESIDE}}}


def companions_of(weights: Path) -> Companions:
    """The companions of a weights file. Raises WeightsError or EncoderError for one not found."""
    from models.codecs import LatentCodec, make_codec  # brings torch
    from models.denoiser import described_text

    description = load_description(weights)
    codec, autoencoder = make_codec(description.get("codec")), None
    if isinstance(codec, LatentCodec):
        codec.look_near(weights)
        autoencoder = codec.find()
    return Companions(autoencoder, _encoder(description, described_text(description, weights)))


def _encoder(description: Mapping[str, Any], text: Mapping[str, Any] | None) -> EncoderFiles | None:
    from models.config import ModelConfig
    from models.text_encoders.configs import FrozenConfig

    config = ModelConfig.model_validate_json(json.dumps(description["config"])).text
    return config.files(text) if isinstance(config, FrozenConfig) else None


def card_lines(description: Mapping[str, Any], companions: Companions) -> list[str]:
    """What the card says of them: name, place and hash, a sentence each."""
    lines = []
    if companions.autoencoder is not None:
        told = read_object(companions.autoencoder.with_suffix(".json"))
        lines.append(
            f"Its latents {description['codec']['shape']} are decoded by the autoencoder of kind "
            f"{told['kind']} in `{DENOISER.parent}`, {told['factor']} times smaller than pictures; "
            f"sha256 of its weights `{description['codec']['autoencoder']}`."
        )
    text = description.get("text")
    if text is None:
        return lines
    name, known = text.get("encoder"), f"`{text.get('sha256')}`"
    encoder = companions.encoder
    if encoder is None:
        count = len(text.get("vocabulary", ()))
        lines.append(
            f"Captions are read by a table of {count:,} words (kind {name}) that was learned with "
            f"it and is part of the weights; sha256 of the vocabulary {known}."
        )
    elif encoder.packaged:
        lines.append(
            f"Captions are read by a frozen encoder (kind {name}), which is no part of this "
            f"folder: {encoder.install}. sha256 of its files {known}."
        )
    else:
        lines.append(
            f"Captions are read by a frozen encoder (kind {name}) in `{BESIDE}`, the work of "
            f"others under terms of its own; sha256 of its files {known}."
        )
    return lines
