"""A hash of all numbers in a denoiser and in what guides it."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from models.weights import tensors_hash

_PLAIN = (bool, int, float, str, type(None))
_OWN = ("models.", "sampling.")


class _UnknownError(Exception):
    """Something whose numbers cannot be listed."""


def contents_hash(denoiser: object) -> str | None:
    """Hash of weights, buffers and plain attributes, whatever guidance nests; hexadecimal.

    None where a part is no network and no object of this project, such as a function.
    """
    try:
        digest = hashlib.sha256("\n".join(_parts(denoiser, "")).encode())
    except _UnknownError:
        return None
    return digest.hexdigest()


def _parts(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, _PLAIN):
        yield f"{name} {value!r}"
    elif isinstance(value, torch.Tensor):
        yield f"{name} {tensors_hash({'': value})}"
    elif isinstance(value, torch.nn.Module):
        yield f"{name} {tensors_hash(value.state_dict())}"
        for place, module in value.named_modules():
            yield f"{name}.{place} {type(module).__qualname__}"
            for key, part in sorted(vars(module).items()):
                if key != "training" and isinstance(part, _PLAIN):
                    yield f"{name}.{place}.{key} {part!r}"
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _parts(part, f"{name}.{number}")
    elif isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            yield from _parts(value[key], f"{name}.{key}")
    elif type(value).__module__.startswith(_OWN) and hasattr(value, "__dict__"):
        yield f"{name} {type(value).__qualname__}"
        for key, part in sorted(vars(value).items()):
            yield from _parts(part, f"{name}.{key}")
    else:
        raise _UnknownError(name)
