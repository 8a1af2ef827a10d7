"""The region of an image that stays as it is: held at every noise level by the denoiser itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sampling.solvers.step import Denoise

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KnownRegion:
    """An image and what of it is drawn anew, on the device where images are drawn."""

    image: "Tensor"
    """[C, H, W] in data units."""
    drawn: "Tensor"
    """bool [H, W], True where it is drawn anew, False where the image is known."""

    def hold(self, denoise: Denoise) -> Denoise:
        """The denoiser that answers with the image itself where it is known.

        A solver that gets x0 = image at all levels keeps x = image + sigma n there, with the noise
        n that it began with or that it adds itself: at each noise level the known region is the
        image with noise of that level (replacement: Song et al. 2021, arXiv 2011.13456, I.2).
        This holds for all solvers of this project, since each one is exact for constant x0; what
        a multistep solver remembers is this denoiser's own answers, so its history stays valid.
        """
        import torch

        def held(x: "Tensor", sigma: "Tensor") -> "Tensor":
            return torch.where(self.drawn, denoise(x, sigma), self.image)

        return held

    def begin(self, noise: "Tensor", sigma: float, forgotten: bool) -> "Tensor":
        """image + sigma noise, [B, C, H, W]; where the image is drawn anew and forgotten, the noise
        alone. noise: unit normal [B, C, H, W]."""
        import torch

        alone = noise * sigma
        noisy = self.image + alone
        return torch.where(self.drawn, alone, noisy) if forgotten else noisy

    def restore(self, images: "Tensor") -> "Tensor":
        """Images [B, C, H, W] with the known region's own values, without a solver's rounding."""
        import torch

        return torch.where(self.drawn, images, self.image)
