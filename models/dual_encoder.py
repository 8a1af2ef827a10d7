"""A pair of small networks that say how well an image fits a caption; it guides, and never judges.

Both map to vectors of unit length, trained so that an image's own caption is the nearest of a batch
(InfoNCE; Radford et al., arXiv 2103.00020, figure 3).
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from pydantic import TypeAdapter
from torch import Tensor, nn

from models.captions import CaptionTable
from models.text_encoders.configs import TextConfig, TextEncoderConfig
from models.text_encoders.errors import EncoderError
from models.weights import WeightsError, image_shape, load_tensors, save_weights

KIND = "dual_encoder"
"""What the JSON beside its weights says that they are."""
LARGEST_SCALE = 100.0
_CONFIG: TypeAdapter[TextConfig] = TypeAdapter(TextEncoderConfig)


class DualEncoder(nn.Module):
    """cos(f(image), g(caption)) times a learned scale.

    Args:
        image_shape: (C, H, W) of pictures.
        captions: of the labels.
        config: of the encoder whose pooled vectors the captions' side maps further.
        text: how that encoder was described with stored weights; None: a new one.
        width: channels of the first convolution.
        size: of the vectors in common.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        captions: Sequence[str],
        config: TextConfig,
        text: Mapping[str, Any] | None = None,
        width: int = 32,
        size: int = 64,
    ):
        super().__init__()
        self.image_shape, self.config = image_shape, config
        self.width, self.size = width, size
        self.label_names = tuple(captions)
        self.captions: CaptionTable = config.make(captions, text)
        layers: list[nn.Module] = []
        channels, side = image_shape[0], min(image_shape[1:])
        for wide in (width, 2 * width, 4 * width):
            stride = 2 if side >= 4 else 1
            layers += [nn.Conv2d(channels, wide, 3, stride, 1), nn.GroupNorm(8, wide), nn.SiLU()]
            channels, side = wide, -(-side // stride)
        self.image_tower = nn.Sequential(*layers)
        self.image_head = nn.Linear(channels, size)
        self.caption_head = nn.Sequential(
            nn.Linear(self.captions.width, 2 * size), nn.SiLU(), nn.Linear(2 * size, size)
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def scale(self) -> Tensor:
        """1 / temperature."""
        return self.log_scale.exp().clamp_max(LARGEST_SCALE)

    def images(self, pictures: Tensor) -> Tensor:
        """f: pictures in [-1, 1] [B, C, H, W] -> unit vectors [B, size]."""
        return F.normalize(self.image_head(self.image_tower(pictures).mean((2, 3))), dim=1)

    def texts(self, labels: Tensor) -> Tensor:
        """g: captions by their labels int64 [B] -> unit vectors [B, size]."""
        device, dtype = self.log_scale.device, self.log_scale.dtype
        condition = self.captions.embed(labels, len(labels), device, dtype)
        assert condition is not None
        return F.normalize(self.caption_head(condition.vector), dim=1)

    def score(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """scale * cos of each picture and its caption, [B]."""
        return self.scale * (self.images(pictures) * self.texts(labels)).sum(1)

    def loss(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """InfoNCE in both directions; images of one caption share it."""
        logits = self.scale * self.images(pictures) @ self.texts(labels).T  # [B, B]
        same = (labels[:, None] == labels).to(logits.dtype)
        target = same / same.sum(1, keepdim=True)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

    def ask(self, captions: Sequence[str]) -> None:
        """From now on label i is captions[i]. Raises ValueError for one that cannot be read."""
        self.captions.ask(captions)
        self.label_names = tuple(captions)


def save_dual_encoder(path: Path, network: DualEncoder, training: Mapping[str, Any]) -> None:
    """Write its weights and their JSON. training: facts of it that a reader should know."""
    description = {
        "kind": KIND,
        "image_shape": list(network.image_shape),
        "label_names": list(network.label_names),
        "text": network.captions.describe(),
        "config": network.config.model_dump(mode="json"),
        "width": network.width,
        "size": network.size,
        "training": dict(training),
    }
    save_weights(path, network.state_dict(), description)


def load_dual_encoder(path: Path) -> DualEncoder:
    """A frozen dual encoder. Raises WeightsError, naming the file."""
    tensors, about = load_tensors(path)
    try:
        if about.get("kind") != KIND:
            raise ValueError("it holds no dual encoder")
        near = (str(Path(path).parent), str(Path(path).parent.parent))
        network = DualEncoder(
            image_shape(about),
            [str(name) for name in about["label_names"]],
            _CONFIG.validate_json(json.dumps(about["config"])),
            {**cast(dict, about["text"]), "near": near},
            int(about["width"]),
            int(about["size"]),
        )
        network.load_state_dict(tensors)
    except EncoderError as error:
        raise WeightsError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path} does not describe a dual encoder of this version: {str(error)[:200]}"
        ) from error
    return network.eval().requires_grad_(False)
