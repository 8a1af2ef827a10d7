"""Psi, the frozen feature network in whose features the discriminator sees a batch."""

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from models.codecs import Codec
from models.denoiser import Denoiser
from models.extractors.load import load_extractor
from training.structure.config import StructureConfig

SOFTNESS = 0.01
"""Part of the mean variance that whitening adds to each: no axis is stretched tenfold."""


class Psi(nn.Module):
    """Images [B, C, H, W] in data units -> features [B, F], standardised by real images.

    It is differentiable in the images; its weights change only by `refresh`. Each feature has one
    scale, taken from real images only, so that fakes with less or more variance are still seen as
    such. It is computed in the precision of its weights, outside any autocast.
    """

    mean: Tensor
    scale: Tensor
    whitening: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        image_shape: tuple[int, int, int],
        like: Tensor,
        whiten: bool = False,
    ):
        """network: gives the raw features, on its device already. like: sets dtype and device."""
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        with torch.no_grad():
            features = network(torch.zeros(2, *image_shape, dtype=like.dtype, device=like.device))
        self.num_features = features.shape[1]
        self.register_buffer("mean", like.new_zeros(self.num_features))
        self.register_buffer("scale", like.new_ones(self.num_features))
        self.register_buffer("whitening", torch.eye(self.num_features).to(like) if whiten else None)

    def train(self, mode: bool = True) -> "Psi":
        return super().train(False)

    def raw(self, x: Tensor) -> Tensor:
        """Features before standardisation."""
        with torch.autocast(x.device.type, enabled=False):
            return self.network(x.to(self.mean.dtype)).to(self.mean.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self._standardised(self.raw(x))

    def _standardised(self, raw: Tensor) -> Tensor:
        scaled = (raw - self.mean) * self.scale
        return scaled if self.whitening is None else scaled @ self.whitening

    @torch.no_grad()
    def standardise(self, batches: Iterable[Tensor]) -> Tensor:
        """Set the statistics from batches of real images; returns their features [N, F].

        The deviation by which a feature is divided is at least a tenth of the root mean square of
        all deviations: otherwise, in a feature that hardly varies, the smallest difference of a
        fake would outweigh all other features. Whitening does the same along the principal axes of
        the standardised features, softly: by the root of their variance and a hundredth of the mean
        variance.
        """
        raw = torch.cat([self.raw(batch) for batch in batches])  # [N, F]
        features = raw.double()
        deviation = features.std(0, correction=0)
        floor = max(0.1 * deviation.square().mean().sqrt().item(), 1e-3)
        self.mean.copy_(features.mean(0))
        self.scale.copy_(1.0 / deviation.clamp_min(floor))
        if self.whitening is not None:
            scaled = (features - self.mean) * self.scale.double()
            variances, axes = torch.linalg.eigh(scaled.T @ scaled / len(scaled))
            softened = variances.clamp_min(0) + SOFTNESS * variances.mean()
            self.whitening.copy_((axes * softened.rsqrt()) @ axes.T)
        return self._standardised(raw)

    @property
    def statistics(self) -> dict[str, Tensor]:
        """What real images set, by name."""
        found = {"mean": self.mean, "scale": self.scale}
        return found if self.whitening is None else found | {"whitening": self.whitening}

    def refresh(self, ema_denoiser: Denoiser) -> None:
        """Copy the weights of the EMA denoiser, if Psi is a denoiser's encoder."""
        if isinstance(self.network, DenoiserFeatures):
            self.network.denoiser.load_state_dict(ema_denoiser.state_dict())

    def kept(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint: the statistics, and weights if they come from training."""
        keep = self.state_dict()
        if isinstance(self.network, DenoiserFeatures):
            return keep
        return {name: keep[name] for name in self.statistics}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Set what `kept` returned."""
        self.load_state_dict({**self.state_dict(), **tensors})


class DenoiserFeatures(nn.Module):
    """Mean and standard deviation over pixels of each channel, at each resolution of the encoder.

    Of each resolution the deepest state is used. The encoder runs with each of the noise levels
    `sigmas` (a low one shows fine texture, a high one shape), and without labels, so that features
    depend on the image alone. With `quadrants` each quarter of the image has features of its own,
    so that what is where counts; a state with an odd side is taken whole.
    """

    def __init__(self, denoiser: Denoiser, sigmas: Sequence[float], quadrants: bool = False):
        super().__init__()
        self.quadrants = quadrants
        self.denoiser = copy.deepcopy(denoiser)
        self.sigmas = tuple(sigmas)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self._at(x, sigma) for sigma in self.sigmas], 1)

    def _at(self, x: Tensor, sigma: float) -> Tensor:
        hidden = self.denoiser.encode(x, x.new_full((len(x),), sigma), None)
        states = {state.shape[-2:]: state for state in (*hidden.skips, hidden.bottleneck)}
        pooled = []
        for state in states.values():
            state = state.to(x.dtype)  # [B, C, h, w]
            if self.quadrants and state.shape[2] % 2 == 0 and state.shape[3] % 2 == 0:
                quarters = [half.chunk(2, 3) for half in state.chunk(2, 2)]
                state = torch.cat([*quarters[0], *quarters[1]], 1)  # [B, 4 C, h / 2, w / 2]
            # .std() has no finite gradient at constant maps.
            deviation = (state.var((2, 3), correction=0) + 1e-4).sqrt()
            pooled += [state.mean((2, 3)), deviation]
        return torch.cat(pooled, 1)


class OfPictures(nn.Module):
    """Features of an external network, which sees data decoded to pictures."""

    def __init__(self, codec: Codec, network: nn.Module):
        super().__init__()
        self.codec, self.network = codec, network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(self.codec.pictures(x))


def make_psi(config: StructureConfig, denoiser: Denoiser, image_shape: tuple[int, int, int]) -> Psi:
    """The feature network of `config.features`, on the denoiser's device and in its precision.

    Not yet standardised. Raises ValueError (ExtractorError) if an external network's weights are
    missing.
    """
    network: nn.Module
    if config.features == "denoiser":
        renoised = config.fakes == "renoise"
        network = DenoiserFeatures(
            denoiser,
            (config.renoise_sigma,) if renoised else config.feature_sigmas,
            config.pooling == "quadrants",
        )
    elif config.features == "efficientnet_lite0":
        network = OfPictures(denoiser.codec, load_extractor("efficientnet_lite0"))
    else:
        network = OfPictures(denoiser.codec, nn.Flatten())
    like = denoiser.output_conv_weight.detach()
    return Psi(network.to(like.device), image_shape, like, config.whitened)
