"""Denoiser D(x; sigma, labels): EDM preconditioning and learned uncertainty round a network.

Source: Karras et al., EDM (arXiv 2206.00364), table 1, and EDM2 (arXiv 2312.02696), section 2.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.backbones.base import Encoded
from models.backbones.table import BACKBONES
from models.captions import CaptionTable
from models.codecs import Codec, PixelCodec, make_codec
from models.conditions import Conditions, make_conditions
from models.config import ModelConfig
from models.layers.cross_attention import Text
from models.layers.low_rank_adapter import (
    GAME,
    adapter_names,
    add_adapters,
    install_adapter,
    merge_adapter,
    remove_adapters,
    split_adapters,
    with_named_adapters,
)
from models.layers.magnitude_preserving import MPConv, MPFourier, normalize_weights
from models.text_encoders.errors import EncoderError
from models.weights import WeightsError, image_shape, load_tensors, whole
from models.weights_folder import weights_file


@dataclass(frozen=True)
class Hidden:
    """The denoiser's state between encode and decode."""

    bottleneck: Tensor  # [B, C, h, w]
    skips: list[Tensor]  # each [B, C_l, h_l, w_l]
    embedding: Tensor  # [B, E]
    x: Tensor  # [B, C, H, W], the noisy input in data units
    sigma: Tensor  # [B]
    text: Text | None = None  # of a network with cross-attention


class Denoiser(nn.Module):
    """Estimates the clean image x0 from x = x0 + sigma * noise.

    x: float [B, C, H, W] in data units ([-1, 1]); sigma: [B], same units; labels: int64 [B], -1
    where unconditional (None: everywhere). Returns x0 in fp32, [B, C, H, W].
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int,
        config: ModelConfig,
        codec: Codec | None = None,
        label_names: Sequence[str] = (),
        text: Mapping[str, Any] | None = None,
    ):
        """image_shape: (C, H, W) of the data space; codec: of that space (None: pixels).

        label_names: of the classes, or none; they are kept with the weights and decide nothing,
        but where the config has text: they are the captions. text: how its encoder was described
        with stored weights. Raises ValueError for another number of names than classes.
        """
        super().__init__()
        if len(label_names) not in (0, num_classes):
            raise ValueError(f"{len(label_names)} label names for {num_classes} classes")
        self.codec: Codec = codec or PixelCodec()
        self.image_shape = (int(image_shape[0]), int(image_shape[1]), int(image_shape[2]))
        self.conditions: Conditions = make_conditions(config, num_classes, label_names, text)
        self.label_names = tuple(label_names) if self.num_classes else ()
        self.config = config
        self.sigma_data = config.sigma_data
        make = BACKBONES[config.backbone]
        self.unet = make(self.image_shape, self.conditions.width, config)
        self.uncertainty_features = MPFourier(128)
        self.uncertainty = MPConv(128, 1)
        self.uncertainty_gain = nn.Parameter(torch.zeros([]))
        if config.adapter_rank:  # last, so that all other initial weights are as without it
            add_adapters(self.unet, GAME, config.adapter_rank)

    @property
    def num_classes(self) -> int:
        """Labels from 0 to num_classes - 1 can be asked for; 0: unconditional."""
        return self.conditions.num_classes

    @property
    def output_conv_weight(self) -> nn.Parameter:
        """Weight of the last convolution, where the strengths of two losses are compared."""
        return self.unet.output.weight

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.output_conv_weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights; what it returns is fp32 at least."""
        return self.output_conv_weight.dtype

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, sigma, labels))

    def encode(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Hidden:
        """First half of `forward`: everything down to the bottleneck."""
        sigma = sigma.to(device=x.device).expand(len(x))
        wide = sigma.to(torch.promote_types(x.dtype, torch.float32))[:, None, None, None]
        c_in = 1.0 / (wide.square() + self.sigma_data**2).sqrt()
        dtype = self.output_conv_weight.dtype
        noise_level = sigma.double().log().to(torch.promote_types(dtype, torch.float32)) / 4.0
        condition = self.conditions.embed(labels, len(x), x.device, noise_level.dtype)
        encoded = self.unet.encode((x * c_in).to(dtype), noise_level, condition)
        return Hidden(encoded.bottleneck, encoded.skips, encoded.embedding, x, sigma, encoded.text)

    def decode(self, hidden: Hidden) -> Tensor:
        """Second half of `forward`: the image x0 from the state of `encode`."""
        x = hidden.x.to(torch.promote_types(hidden.x.dtype, torch.float32))
        sigma = hidden.sigma.to(x.dtype)[:, None, None, None]
        variance = sigma.square() + self.sigma_data**2
        raw = self.unet.decode(
            Encoded(hidden.bottleneck, hidden.skips, hidden.embedding, hidden.text)
        )
        c_skip = self.sigma_data**2 / variance
        c_out = sigma * self.sigma_data / variance.sqrt()
        return c_skip * x + c_out * raw.to(x.dtype)

    def log_variance(self, sigma: Tensor) -> Tensor:
        """Learned uncertainty u(sigma) of the denoising loss, [B] -> [B] (EDM2, Eq. 21)."""
        features = self.uncertainty_features(sigma.to(self.uncertainty.weight.dtype).log() / 4.0)
        return self.uncertainty(features, gain=self.uncertainty_gain)[:, 0]

    def ask(self, captions: Sequence[str]) -> list[str]:
        """From now on label i is captions[i], in place of those of training; returns remarks.

        Raises ValueError, in one line, for a caption that the encoder cannot read, and where the
        labels are classes.
        """
        if self.config.text is None:
            raise ValueError("these weights read no text (model.text): ask by labels")
        conditions = cast(CaptionTable, self.conditions)
        remarks = conditions.ask(captions)
        self.label_names = tuple(captions)
        return remarks

    def normalize_weights(self) -> None:
        """Bring every weight row back to unit root mean square; called after optimiser steps."""
        normalize_weights(self)


def describe(denoiser: Denoiser) -> dict:
    """What `load_denoiser` needs beside the weights, as JSON-able data."""
    text = {} if denoiser.config.text is None else {"text": denoiser.conditions.describe()}
    return {
        "image_shape": list(denoiser.image_shape),
        "num_classes": denoiser.num_classes,
        "label_names": list(denoiser.label_names),
        "codec": denoiser.codec.describe(),
        "config": denoiser.config.model_dump(mode="json"),
        **text,
    }


def plain_copy(denoiser: Denoiser, *, shared: bool = False) -> Denoiser:
    """A copy of the denoiser with its own weights, bit for bit, and without its adapters.

    shared: its parameters and buffers are the denoiser's own objects, not copies.
    """
    copied = _shared_copy(denoiser) if shared else copy.deepcopy(denoiser)
    remove_adapters(copied)
    copied.config = denoiser.config.model_copy(update={"adapter_rank": 0})
    return copied


def asking(denoiser: Denoiser, captions: Sequence[str]) -> tuple[Denoiser, list[str]]:
    """A denoiser of the same weights whose label i is captions[i], and remarks on the captions.

    The given denoiser keeps its own labels, and the weights are not copied. Raises ValueError as
    `Denoiser.ask` does.
    """
    copied = _shared_copy(denoiser)
    return copied, copied.ask(captions)


def _shared_copy(denoiser: Denoiser) -> Denoiser:
    """A copy whose parameters and buffers are the denoiser's own objects."""
    tensors = (*denoiser.parameters(), *denoiser.buffers())
    return copy.deepcopy(denoiser, {id(tensor): tensor for tensor in tensors})


def described_names(description: Mapping[str, Any]) -> list[str]:
    """Names of the classes in a weights file's description; older files hold none.

    Raises ValueError for anything but a list of names.
    """
    names = description.get("label_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("label_names is no list of names")
    return names


def merged_as_described(
    tensors: dict[str, Tensor], description: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The tensors, with the adapter merged that the description names under "merge", if it does.

    Raises ValueError if that cannot be done.
    """
    name = description.get("merge")
    return tensors if name is None else merge_adapter(tensors, str(name))


def described_text(description: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """How the encoder of captions was described, and where else its files may lie; None: none."""
    text = description.get("text")
    if not isinstance(text, Mapping):
        return None
    return {**text, "near": (str(path.parent), str(path.parent.parent))}


def load_denoiser(path: str | Path, device: torch.device | str = "cpu") -> Denoiser:
    """A denoiser in evaluation mode, with its adapters.

    path: a .safetensors file with its JSON beside it, or a folder that `python -m pipelines.export`
    wrote. An adapter that the JSON names under "merge" is part of the weights, and is merged into
    them. Raises WeightsError, naming the file.
    """
    path = weights_file(path)
    tensors, description = load_tensors(path)
    tensors = with_named_adapters(tensors)
    try:
        config = ModelConfig.model_validate_json(json.dumps(description["config"]))
        codec = make_codec(description.get("codec"))
        codec.look_near(path)
        names = described_names(description)
        shape, text = image_shape(description), described_text(description, path)
        most = 1_000_000 if text is None else 1_000_000_000  # each image may have its own caption
        classes = whole(description, "num_classes", 0, most)
        denoiser = Denoiser(shape, classes, config, codec, names, text)
        tensors = merged_as_described(tensors, description)
        further = split_adapters(tensors)[1]
        for name in further.keys() - adapter_names(denoiser):
            install_adapter(denoiser, name, further[name])
        denoiser.load_state_dict(tensors)
    except EncoderError as error:
        raise WeightsError(f"{path}: {error}") from error
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        summary = "; ".join(line.strip() for line in str(error).splitlines()[:3])[:200]
        raise WeightsError(
            f"{path} does not describe a denoiser of this version: {summary}"
        ) from error
    return denoiser.to(device).eval().requires_grad_(False)
