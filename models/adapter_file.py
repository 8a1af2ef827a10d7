"""One adapter on disk, apart from the denoiser that it adapts: a .safetensors file with its JSON.

The file names the denoiser by the hash of its plain weights (those without any adapter), because an
adapter trained for one set of weights means nothing to another.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from models.layers.low_rank_adapter import adapter_names, install_adapter, split_adapters
from models.weights import WeightsError, load_tensors, save_weights, tensors_hash

KIND = "adapter"


def save_adapter(
    denoiser: nn.Module, name: str, path: str | Path, training: Mapping[str, Any] | None = None
) -> None:
    """Write the adapter of that name to `path` (.safetensors, JSON beside it), and nothing else.

    training: facts of how it came about that a reader should know. Raises ValueError where the
    denoiser has no such adapter.
    """
    plain, adapters = split_adapters(denoiser.state_dict())
    if name not in adapters:
        has = ", ".join(adapter_names(denoiser)) or "none"
        raise ValueError(f"no adapter {name!r} to save: this denoiser has {has}")
    tensors = adapters[name]
    updates = {key.removesuffix(".up"): up for key, up in tensors.items() if key.endswith(".up")}
    description = {
        "kind": KIND,
        "name": name,
        "rank": max(up.shape[1] for up in updates.values()),
        "layers": {key: [len(up), tensors[f"{key}.down"].shape[1]] for key, up in updates.items()},
        "base_sha256": tensors_hash(plain),
        **({} if training is None else {"training": dict(training)}),
    }
    save_weights(Path(path), tensors, description)


def load_adapter(denoiser: nn.Module, path: str | Path, name: str | None = None) -> str:
    """Add the adapter at `path` to the denoiser it was saved from; returns its name there.

    Args:
        name: another name than the file's, e.g. where that is taken.

    Raises WeightsError, and changes nothing, where the file is missing, damaged, no adapter or that
    of a denoiser with other weights or shapes, or where the name is taken.
    """
    tensors, description = load_tensors(Path(path))
    if description.get("kind") != KIND:
        raise WeightsError(f"{path} holds no adapter: give a file that save_adapter wrote")
    plain, _ = split_adapters(denoiser.state_dict())
    found, expected = tensors_hash(plain), str(description.get("base_sha256"))
    if found != expected:
        raise WeightsError(
            f"{path} is the adapter of other weights (sha256 {expected[:12]}..., this denoiser's "
            f"are {found[:12]}...): load the denoiser from which it was saved"
        )
    chosen = str(description.get("name")) if name is None else name
    try:
        install_adapter(denoiser, chosen, tensors)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from error
    return chosen
