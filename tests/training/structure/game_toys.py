"""Small stand-ins for the game's tests: a data set in memory, and a denoiser that is one matrix."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from dataset.distinct import pixel_keys
from models.codecs import PixelCodec


class ToyImages:
    """What the game uses of ImageDataset, over a tensor of images [N, C, H, W]."""

    def __init__(
        self,
        images: Tensor,
        labels: np.ndarray | None = None,
        num_classes: int = 0,
        groups: np.ndarray | None = None,
    ):
        self.images, self.num_classes = images, num_classes
        self.labels = np.full(len(images), -1) if labels is None else labels
        self.group_labels = self.labels if groups is None else groups
        self.train_indices = np.arange(len(images))
        self.image_shape = tuple(images.shape[1:])

    @property
    def train_keys(self) -> np.ndarray | None:
        copied = getattr(self, "has_copies", False)
        return pixel_keys(self.images, self.train_indices) if copied else None

    def stored(self, indices) -> tuple[Tensor, Tensor]:
        return self.images[indices], torch.from_numpy(self.labels[indices])


class FloatCodec(PixelCodec):
    """For images that are stored as data already."""

    def encode(self, stored: Tensor, mirrored: Tensor | None = None) -> Tensor:
        if mirrored is None:
            return stored
        return torch.where(mirrored[:, None, None, None], stored.flip(3), stored)


def random_images(count=200, shape=(1, 8, 8), classes=3) -> ToyImages:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, *shape, generator=generator).clamp(-1, 1)
    return ToyImages(images, np.arange(count) % classes, classes)


class LinearDenoiser(nn.Module):
    """D(x) = A x + b on "images" of two pixels, one per channel; the contract of Denoiser."""

    sigma_data = 0.5
    codec = FloatCodec()
    image_shape = (2, 1, 1)
    num_classes = 0

    def __init__(self, shift=(0.0, 0.0)):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(2)[:, :, None, None])
        self.bias = nn.Parameter(torch.tensor(shift))

    @property
    def output_conv_weight(self) -> nn.Parameter:
        return self.matrix

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, sigma, labels))

    def encode(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None):
        return SimpleNamespace(bottleneck=x, skips=[x], embedding=None, x=x, sigma=sigma)

    def decode(self, hidden) -> Tensor:
        return nn.functional.conv2d(hidden.bottleneck, self.matrix, self.bias)


class ConvDenoiser(nn.Module):
    """A two-level convolutional denoiser; unlike the real one it is exact in double precision."""

    sigma_data = 0.5
    codec = FloatCodec()

    def __init__(self, image_shape=(1, 8, 8), num_classes=3, width=8):
        super().__init__()
        self.image_shape, self.num_classes = image_shape, num_classes
        self.input = nn.Conv2d(image_shape[0], width, 3, padding=1)
        self.down = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.noise_level = nn.Linear(1, width)
        self.label = nn.Embedding(num_classes + 1, width)
        self.output = nn.Conv2d(2 * width, image_shape[0], 3, padding=1)

    @property
    def output_conv_weight(self) -> nn.Parameter:
        return self.output.weight

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, sigma, labels))

    def encode(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None):
        labels = x.new_full((len(x),), -1, dtype=torch.int64) if labels is None else labels
        skip = nn.functional.silu(self.input(x))
        embedding = self.noise_level(sigma.log()[:, None]) + self.label(labels + 1)
        bottleneck = nn.functional.silu(self.down(skip) + embedding[:, :, None, None])
        return SimpleNamespace(
            bottleneck=bottleneck, skips=[skip], embedding=embedding, x=x, sigma=sigma
        )

    def decode(self, hidden) -> Tensor:
        up = nn.functional.interpolate(hidden.bottleneck, scale_factor=2)
        share = 1 / (1 + hidden.sigma.square() / self.sigma_data**2)[:, None, None, None]
        return share * hidden.x + self.output(torch.cat([hidden.skips[0], up], 1))


def two_clusters(count=512) -> ToyImages:
    """Points of the plane in two tight clusters."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.5, 0.2], [-0.5, -0.2]])[torch.arange(count) % 2]
    return ToyImages((centres + 0.1 * torch.randn(count, 2, generator=generator))[..., None, None])


def play(game, denoiser, data, number: int, micro_batch=None):
    batch = game.draw(data, number * game.batch_size)
    unit = torch.full_like(denoiser.output_conv_weight, denoiser.output_conv_weight.numel() ** -0.5)
    return game.play(denoiser, batch, micro_batch, unit)
