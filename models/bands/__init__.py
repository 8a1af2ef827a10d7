"""One image cut into bands of rows: how layers of the denoiser exchange what they need."""

from models.bands.stacked import StackedBands

__all__ = ["StackedBands"]
