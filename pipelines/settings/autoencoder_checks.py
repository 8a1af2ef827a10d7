"""Finds settings of the autoencoder that do not fit the rest of params, and how to mend them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from models.autoencoders.config import KLConfig

if TYPE_CHECKING:
    from pipelines.settings.schema import Params


def autoencoder_problems(params: "Params") -> Iterator[str]:
    """One line for each problem, with the YAML path and the mend."""
    config, channels = params.autoencoder, params.dataset.channels
    refusal = config.refusal(params.dataset.resolution, None if channels == "auto" else channels)
    if refusal is not None:
        yield f"autoencoder{refusal}"
    if isinstance(config, KLConfig):
        settings = params.autoencoder_settings()
        if settings.total_steps < settings.ema.snapshots:
            yield (
                f"autoencoder.total_kimg: {config.total_kimg:g} makes {settings.total_steps} step "
                f"of batch_size {config.batch_size}, and at least {settings.ema.snapshots} are "
                "wanted: train longer"
            )


def autoencoder_batches(params: "Params") -> dict[str, int]:
    """{key: images over all workers} of the batch that an autoencoder is trained with."""
    config = params.autoencoder
    return {"autoencoder.batch_size": config.batch_size} if isinstance(config, KLConfig) else {}


def autoencoder_method(method: str) -> str | None:
    """A line if train.method names what trains autoencoders; None if it does not."""
    if method != "autoencoder":
        return None
    return (
        "train.method: autoencoder trains no denoiser: describe it under `autoencoder` (kind kl), "
        "and leave denoising here"
    )
