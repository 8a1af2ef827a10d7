"""What a measurement takes in place of things that are not made yet: images, and a teacher."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset.config import DatasetConfig
from dataset.latents import MANIFEST, MIRRORS, MOMENTS
from models.autoencoders.config import AutoencoderConfig, DiffusersConfig, KLConfig, PCAConfig

if TYPE_CHECKING:
    from dataset.store import ImageDataset
    from models.autoencoder import Autoencoder
    from training.run_settings import RunSettings

COUNT = 64
GREY = {"digits", "FashionMNIST"}
CLASSES = 10


def expected_channels(config: DatasetConfig) -> int:
    """Channels of the images before they are prepared.

    With dataset.channels auto they are grey for digits and FashionMNIST, and else in colour.
    """
    if config.channels != "auto":
        return config.channels
    return 1 if config.source in GREY or config.name in GREY else 3


def write_stand_in(config: DatasetConfig, folder: Path, count: int = COUNT) -> None:
    """Write random images of the wanted size into `folder`, for measurements of speed alone.

    Half of the `count` images are training images.
    """
    channels, side = expected_channels(config), config.resolution
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, side, side, channels), np.uint8)
    split = (np.arange(count) % 2).astype(np.int8)
    labels = np.arange(count, dtype=np.int64) // 2 % CLASSES
    for name, array in (("images", images), ("labels", labels), ("split", split)):
        np.save(folder / f"{name}.npy", array)
    manifest = {
        "num_images": count,
        "num_train": count // 2,
        "num_held_out": count // 2,
        "resolution": side,
        "channels": channels,
        "num_classes": CLASSES,
        "label_names": [str(number) for number in range(CLASSES)],
        "content_hash": "stand-in",
    }
    (folder / "dataset.json").write_text(json.dumps(manifest))


def write_teacher(settings: "RunSettings", dataset: "ImageDataset", folder: Path) -> Path:
    """Write an untrained denoiser into `folder`: it costs as much as a student's teacher will."""
    from models.denoiser import describe
    from models.weights import save_weights
    from training.methods.denoising import make_denoiser

    denoiser = make_denoiser(settings, dataset)
    path = folder / "teacher.safetensors"
    save_weights(path, denoiser.state_dict(), describe(denoiser))
    return path


def write_latent_stand_in(config: AutoencoderConfig, pictures: Path, folder: Path) -> None:
    """Write random latents of the pictures of `write_stand_in` into `folder`, and beside them an
    untrained autoencoder, through which a game may look at pictures."""
    from models.autoencoder import FILE, autoencoder_hash, save_autoencoder

    manifest = json.loads((pictures / "dataset.json").read_text())
    shape = [config.latent_channels, *[config.latent_side(manifest["resolution"])] * 2]
    moments = np.random.default_rng(0).normal(size=(COUNT, MIRRORS, 2 * shape[0], *shape[1:]))
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / MOMENTS, moments.astype(np.float16))
    save_autoencoder(folder / FILE, _untrained(config, manifest["channels"]))
    codec = {
        "kind": "latent",
        "autoencoder": autoencoder_hash(folder),
        "pictures": [manifest["channels"], *[manifest["resolution"]] * 2],
        "shape": shape,
        "mean": [0.0] * shape[0],
        "std": [1.0] * shape[0],
        "random": True,
    }
    facts = {"kind": config.kind, "codec": codec, "dataset": manifest["content_hash"]}
    (folder / MANIFEST).write_text(json.dumps(facts))


def _untrained(config: AutoencoderConfig, channels: int) -> "Autoencoder":
    """An autoencoder that costs as much as the one of this config; of a folder, that itself."""
    from models.autoencoder import NETWORKS

    if isinstance(config, DiffusersConfig):
        from models.autoencoders.diffusers import from_folder

        return from_folder(config.path)
    assert isinstance(config, PCAConfig | KLConfig)
    width = {"width": config.width} if isinstance(config, KLConfig) else {}
    sizes = {"channels": channels, "latent_channels": config.channels, "factor": config.factor}
    return NETWORKS[config.kind](**sizes, **width)
