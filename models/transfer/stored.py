"""The stored weights that a denoiser begins with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from models.codecs import Codec, make_codec
from models.denoiser import Denoiser, described_names, merged_as_described
from models.layers.low_rank_adapter import with_named_adapters
from models.transfer.labels import in_order_of
from models.weights import WeightsError, load_tensors
from models.weights_folder import weights_file


@dataclass(frozen=True)
class Stored:
    """Weights as a file has them, with the adapter merged that it names under "merge"."""

    path: str
    tensors: dict[str, Tensor]
    description: Mapping[str, Any]
    names: tuple[str, ...]
    """Of the classes, in the order of `tensors`; () where none are known."""


def read_stored(denoiser: Denoiser, path: str | Path) -> Stored:
    """The weights at `path`; where both sides name the same classes, in this denoiser's order.

    Raises WeightsError, naming train.init_from, if they are damaged or see pixels where this
    denoiser sees latents, or the reverse.
    """
    try:
        tensors, description = load_tensors(weights_file(path))
    except WeightsError as error:
        raise WeightsError(f"train.init_from: {error}") from None
    try:
        names = described_names(description)
        tensors = merged_as_described(with_named_adapters(tensors), description)
    except ValueError as error:
        raise WeightsError(f"train.init_from: the JSON beside {path}: {error}") from None
    codec = make_codec(description.get("codec"))
    if codec.kind != denoiser.codec.kind:
        raise WeightsError(
            f"train.init_from: {path} sees {_seen(codec)}, and this denoiser "
            f"{_seen(denoiser.codec)}: make the autoencoder section of params.yaml match"
        )
    if denoiser.config.text is None:
        ordered = in_order_of(denoiser.label_names, names, tensors)
        names = names if ordered is tensors else list(denoiser.label_names)
        tensors = ordered
    return Stored(str(path), tensors, description, tuple(names))


def _seen(codec: Codec) -> str:
    return "pixels" if codec.kind == "none" else "latents"
