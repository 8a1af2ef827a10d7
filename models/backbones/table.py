"""Networks F by name: model.backbone."""

from collections.abc import Callable

from models.backbones.base import Backbone
from models.backbones.transformer import Transformer
from models.backbones.unet import UNet
from models.config import ModelConfig

BACKBONES: dict[str, Callable[[tuple[int, int, int], int, ModelConfig], Backbone]] = {
    "unet": UNet,
    "transformer": Transformer,
}
"""{value of model.backbone: class, made of (image shape, width of conditions, config)}."""
