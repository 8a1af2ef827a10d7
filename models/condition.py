"""What one batch of a denoiser is asked for."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """What one batch is asked for, as the U-Net reads it."""

    vector: Tensor
    """[B, E], rows of unit root mean square, or of zeros where nothing is asked for."""
    tokens: Tensor | None = None
    """[B, T, E], what cross-attention reads; None where nothing reads tokens."""
    mask: Tensor | None = None
    """bool [B, T], false where a token is padding, or where nothing is asked for."""
