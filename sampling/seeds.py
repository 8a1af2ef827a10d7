"""One random generator per generated image, so that image i depends on (seed, i) alone."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

NormalSource = Callable[["Tensor"], "Tensor"]


def image_generators(
    seed: int, indices: Sequence[int], device: "torch.device | str" = "cpu"
) -> "list[torch.Generator]":
    """A generator per image index, seeded by a 64-bit hash of (seed, index)."""
    import torch

    generators = []
    for index in indices:
        key = f"image/{int(seed)}/{int(index)}".encode()
        digest = hashlib.blake2b(key, digest_size=8).digest()
        generator = torch.Generator(device=device)
        generator.manual_seed(int.from_bytes(digest, "little"))
        generators.append(generator)
    return generators


def image_noise(
    generators: "Sequence[torch.Generator]",
    image_shape: Sequence[int],
    dtype: "torch.dtype | None" = None,
    device: "torch.device | str | None" = None,
) -> "Tensor":
    """Unit normal noise [B, *image_shape]; row b is drawn from `generators[b]` only.

    dtype: float32 by default.
    """
    import torch

    dtype = dtype or torch.float32
    shape = tuple(image_shape)
    rows = [torch.randn(shape, generator=g, device=g.device, dtype=dtype) for g in generators]
    return torch.stack(rows).to(device)


def normal_source(generators: "Sequence[torch.Generator] | None", batch: int) -> NormalSource:
    """A function that draws unit normal noise in the shape of its argument x [B, C, H, W].

    Row b is drawn from generators[b]; with None, all rows from torch's global generator. Raises
    ValueError unless there are `batch` generators.
    """
    import torch

    if generators is None:
        return torch.randn_like
    if isinstance(generators, torch.Generator) or len(generators) != batch:
        got = "one" if isinstance(generators, torch.Generator) else f"{len(generators)}"
        raise ValueError(
            f"{got} generator(s) for a batch of {batch} images: "
            "pass one per image, e.g. image_generators(seed, indices)"
        )
    owned = list(generators)
    return lambda x: image_noise(owned, x.shape[1:], x.dtype, x.device)
