"""Fine-tuning: start a denoiser from the weights of another run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.codecs import Codec, make_codec
from models.denoiser import Denoiser, described_names, merged_as_described
from models.layers.low_rank_adapter import with_named_adapters
from models.text_encoders.words import WordTable, described_vocabulary
from models.weights import WeightsError, load_tensors
from models.weights_folder import weights_file

WORDS = "conditions.table.weight"
"""The vectors of words, [V, E]."""


def initialise_from(denoiser: Denoiser, path: str | Path) -> list[str]:
    """Copy given weights into `denoiser` (fine-tuning); returns the names that kept fresh values.

    These are a label embedding for another number of classes, and adapters that the file lacks or
    holds at another rank. Where both name the same classes in another order, the embedding goes by
    the names; of a table of words, the words that both know are taken over. Raises WeightsError,
    naming the first, if any other tensor is missing, has another shape, or is unknown here.
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
        tensors = _in_order_of(denoiser.label_names, names, tensors)
    tensors = _with_own_words(denoiser, description, tensors)
    own = denoiser.state_dict()
    fresh = [
        n for n in own if _may_differ(n) and (n not in tensors or tensors[n].shape != own[n].shape)
    ]
    for name, tensor in own.items():
        if name in fresh:
            continue
        if name not in tensors:
            raise WeightsError(
                f"train.init_from: {path} has no tensor {name}: its model section "
                "must match params.yaml"
            )
        if tensors[name].shape != tensor.shape:
            raise WeightsError(
                f"train.init_from: {name} is {list(tensors[name].shape)} in {path} but "
                f"{list(tensor.shape)} here: make the model and dataset sections of params.yaml "
                "match"
            )
    unknown = [n for n in tensors if n not in own and not _may_differ(n)]
    if unknown:
        raise WeightsError(
            f"train.init_from: {path} has a tensor {unknown[0]} that this model lacks: "
            "make the model section of params.yaml match"
        )
    kept = {n: t for n, t in tensors.items() if n in own and n not in fresh}
    denoiser.load_state_dict(kept, strict=False)
    return fresh


def _in_order_of(
    own: Sequence[str], names: Sequence[str], tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors with the inputs of the label embedding moved from classes `names` to `own`."""
    if list(own) == list(names) or len(set(own)) < len(own) or sorted(own) != sorted(names):
        return tensors
    order = [list(names).index(name) for name in own]
    inputs = ("unet.label_embedding.weight", ".down")  # [E, K], and [rank, K] of adapters
    return {
        name: tensor[:, order] if _of_labels(name) and name.endswith(inputs) else tensor
        for name, tensor in tensors.items()
    }


def _seen(codec: Codec) -> str:
    return "pixels" if codec.kind == "none" else "latents"


def _with_own_words(
    denoiser: Denoiser, description: Mapping[str, Any], tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors with a table of this denoiser's words: known ones as stored, others as here."""
    words, text = denoiser.conditions, description.get("text")
    stored = tensors.get(WORDS)
    if not isinstance(words, WordTable) or not isinstance(text, Mapping) or stored is None:
        return tensors
    row = {word: stored[number] for number, word in enumerate(described_vocabulary(text))}
    own = words.table.weight.detach()
    if own.shape[1] != stored.shape[1]:
        return tensors
    merged = [row.get(word, own[number]) for number, word in enumerate(words.vocabulary)]
    return tensors | {WORDS: torch.stack([tensor.to(own) for tensor in merged])}


def _of_labels(name: str) -> bool:
    return name.startswith("unet.label_embedding.")


def _may_differ(name: str) -> bool:
    return _of_labels(name) or ".adapters." in name
