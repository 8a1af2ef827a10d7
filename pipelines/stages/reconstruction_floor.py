"""The second floor of latents: what real images lose on their way through the autoencoder.

No image that is decoded from latents can be better than a real image's reconstruction. So held-out
images are encoded and decoded, and the distances FD and KID between training images and these are
measured in the draws of the first floor, at the same size n; PSNR compares each image with its own
reconstruction.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from evaluation.config import EvaluationConfig
from evaluation.floors import draw_metrics, equal_size
from evaluation.judge import jsonable
from evaluation.kept.floors import floors_file
from evaluation.measures import measure
from evaluation.real_side import RealSide
from evaluation.reference import Reference
from foundation.atomic_files import write_text
from foundation.json_files import read_object
from foundation.json_hash import json_hash
from models.autoencoder import Autoencoder
from models.autoencoders.base import pictures_at_once
from models.autoencoders.psnr import psnr
from models.codecs.pixel import to_float, to_uint8
from models.weights import file_hash

DISTANCES = ("fd", "kid")


def reconstruction_floor(
    network: Autoencoder,
    name: str,
    images: np.ndarray,
    reference: Reference,
    config: EvaluationConfig,
    num_generated: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    kept: Path | None = None,
) -> dict[str, dict]:
    """Metrics fd_reconstruction, kid_reconstruction and reconstruction_psnr, as `judge` gives them.

    Args:
        name: hash of the autoencoder.
        images: held-out images uint8 [M, H, W, C].
        num_generated: number of generated images that are judged, which decides n.
        progress: called with (images done, total).
        kept: folder of floors, where these are kept for the next item; None: nowhere.
    """
    n = equal_size(num_generated, len(reference.train_features), len(images))
    file = None
    if kept is not None:
        floors = floors_file(kept, reference, config, n, seed).stem  # known by all they depend on
        decides = [floors, name, len(images), file_hash(__file__)]
        file = Path(kept) / f"reconstruction-{json_hash(decides)[:32]}.json"
        try:
            return read_object(file)
        except (OSError, ValueError):
            pass  # it is measured anew, and written over it
    pictures, ratio = reconstructed(network, images, progress)
    features = reference.extractor.features(pictures, config.batch_size)
    drawn = draw_metrics(
        lambda real, other, draw: measure(real, other, draw, config, DISTANCES),
        {"reconstruction": features},
        reference.train_features,
        n,
        config.floor_draws,
        seed,
        prepare=lambda real, draw: RealSide(real, config.k),
    )["reconstruction"]
    found = {
        f"{key}_reconstruction": {"value": drawn[key].mean(), "std": drawn[key].std(ddof=1)}
        for key in DISTANCES
    }
    found["reconstruction_psnr"] = {"value": ratio}
    entries = {key: jsonable(entry) for key, entry in found.items()}
    if file is not None:
        write_text(file, json.dumps(entries) + "\n")
    return entries


@torch.no_grad()
def reconstructed(
    network: Autoencoder, images: np.ndarray, progress: Callable[[int, int], None] | None = None
) -> tuple[np.ndarray, float]:
    """Images uint8 [M, H, W, C] through the autoencoder and back, and their mean PSNR (dB)."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device)
    parts, ratios = [], []
    size = pictures_at_once(*images.shape[1:3])
    for start in range(0, len(images), size):
        real = np.asarray(images[start : start + size])
        decoded = to_uint8(network.decode(network.encode(to_float(real).to(device)).mean))
        before, after = (torch.from_numpy(side.astype(np.float64)) for side in (real, decoded))
        ratios.append(psnr(before, after, 255.0))
        parts.append(decoded)
        if progress is not None:
            progress(start + len(real), len(images))
    return np.concatenate(parts), float(torch.cat(ratios).mean())
