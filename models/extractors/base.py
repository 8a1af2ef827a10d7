"""What every feature extractor offers to the metrics and to the structure game."""

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor, nn


class ExtractorError(ValueError):
    """A feature network is missing, is not the one expected, or does not fit the images."""


class Extractor(nn.Module):
    """A fixed network that turns images into feature vectors.

    Two ways in, one network: `features` takes stored images (uint8 NHWC) along the exact path of
    the metric; `forward` takes float NCHW images in [-1, 1] and carries gradients, for the game.
    It stays in evaluation mode even when `train` is called on a module that holds it.
    """

    name: str
    """As params.yaml spells it."""
    metric_name: str
    """What a Frechet distance in these features may be called; only Inception's is a FID."""
    num_features: int
    image_shape: tuple[int, int, int] | None = None
    """(C, H, W) of the only images that it takes; None: any size, in grey or colour."""
    max_batch: int = 1024
    """Images put through the network at once, at most."""
    max_batch_on_cpu: int | None = None
    """The same on a processor; None: max_batch."""

    def train(self, mode: bool = True) -> "Extractor":
        return super().train(False)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def at_once(self) -> int:
        """Most images that go through the network at once on the device that it is on."""
        on_cpu = self.device.type == "cpu" and self.max_batch_on_cpu
        return on_cpu or self.max_batch

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, H, W] in [-1, 1] -> features [B, F], differentiable."""
        raise NotImplementedError

    def prepare(self, images: np.ndarray) -> Tensor:
        """uint8 [B, H, W, C] -> the network's own input, on the CPU (no gradient)."""
        raise NotImplementedError

    def embed(self, prepared: Tensor) -> Tensor:
        """The network's own input -> features [B, F]."""
        raise NotImplementedError

    def protocol(self) -> dict:
        """Everything about this extractor that changes a number: recorded beside each metric."""
        raise NotImplementedError

    def features(
        self,
        images: np.ndarray,
        batch_size: int = 256,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """uint8 [N, H, W, C] (memory maps welcome) -> float32 [N, F]."""
        return self.run(self.embed, images, batch_size, progress)

    @torch.no_grad()
    def embed_batch(self, network: Callable[[Tensor], Tensor], prepared: Tensor) -> np.ndarray:
        """One prepared batch through `network`, in float32 -> [B, outputs]."""
        # Full float32 on a GPU too: TensorFloat-32 would shift every metric by its rounding.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.autocast(self.device.type, enabled=False), exact:
            return network(prepared.to(self.device)).float().cpu().numpy()

    def run(
        self,
        network: Callable[[Tensor], Tensor],
        images: np.ndarray,
        batch_size: int = 256,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Put stored images through `network` batch by batch, in float32 -> [N, outputs]."""
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ExtractorError(
                f"{self.name}: expected uint8 images [N, H, W, C], "
                f"got {images.dtype} {list(images.shape)}"
            )
        size = max(1, min(batch_size, self.at_once))
        out: np.ndarray | None = None
        for start in range(0, len(images), size):
            part = self.embed_batch(network, self.prepare(np.asarray(images[start : start + size])))
            if out is None:
                out = np.empty((len(images), part.shape[1]), np.float32)
            out[start : start + len(part)] = part
            if progress is not None:
                progress(start + len(part), len(images))
        return np.empty((0, self.num_features), np.float32) if out is None else out


def versions(*packages: str) -> dict[str, str]:
    """Installed versions, for a protocol."""
    return {package: version(package) for package in packages}
