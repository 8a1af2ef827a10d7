"""Autoguidance: a worse version of the model guides it."""

from torch import Tensor

from sampling.guidance.base import Guided, LabelledDenoiser


class Autoguidance(Guided):
    """D_guide + w (D - D_guide): a worse version of the model guides it (Karras et al. 2024).

    The guide is a smaller network, an earlier snapshot or another EMA length. Weight 1 does not
    call it.
    """

    def __init__(self, denoiser: LabelledDenoiser, guide: LabelledDenoiser, weight: float) -> None:
        super().__init__(denoiser)
        if tuple(guide.image_shape) != tuple(denoiser.image_shape):
            raise ValueError(
                f"the guide makes images of shape {tuple(guide.image_shape)}, "
                f"the denoiser {tuple(denoiser.image_shape)}: choose a guide of the same shape"
            )
        if guide.num_classes not in (0, denoiser.num_classes):
            raise ValueError(
                f"the guide knows {guide.num_classes} classes, the denoiser "
                f"{denoiser.num_classes}: choose a guide with the same classes, or without any"
            )
        self.guide, self.weight = guide, weight

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        main = self.denoiser(x, sigma, labels)
        if self.weight == 1:
            return main
        guide = self.guide(x, sigma, labels if self.guide.num_classes else None)
        return guide + self.weight * (main - guide)
