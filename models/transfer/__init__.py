"""Fine-tuning: a denoiser that begins with the weights of another one."""

from models.transfer.copied import Copied
from models.transfer.start import copy_from, initialise_from

__all__ = ["Copied", "copy_from", "initialise_from"]
