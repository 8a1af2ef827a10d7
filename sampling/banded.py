"""A denoiser that evaluates images in bands of rows, whole images in and out."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from models.bands.divided import check_blocks, divided
from models.denoiser import Denoiser
from models.layers.exchange import Exchange
from sampling.band_plan import check_bands


class BandedDenoiser(nn.Module):
    """D(x; sigma, labels) of a denoiser whose images are cut into bands of rows.

    Solvers, guidance and noise see whole images. Where every evaluation is fresh the result is the
    denoiser's own, but for rounding. Displaced, an evaluation after the warm-up uses the other
    bands' values of exactly the evaluation before (DistriFusion, arXiv 2402.19481, section 3.2), so
    the result depends on the number of bands and on warm_up, but not on the workers.

    A trajectory begins anew, with a fresh evaluation and the warm-up, after `restart`, where a
    noise level rises, and with a batch of another shape.

    Args:
        denoiser: with or without adapters.
        exchange: of models/bands.
        warm_up: fresh evaluations of a trajectory after its first, which is always fresh; None: all
            are.

    Raises ValueError where its images cannot be cut into so many bands, or a block at its
    bottleneck relates the rows of an image in a way that bands do not know.
    """

    def __init__(self, denoiser: Denoiser, exchange: Exchange, warm_up: int | None = None):
        super().__init__()
        check_bands(exchange.count, denoiser.image_shape[1], denoiser.config)
        check_blocks(denoiser.unet)
        self.denoiser, self.exchange, self.warm_up = denoiser, exchange, warm_up
        self.sigma_data = denoiser.sigma_data
        self.image_shape = denoiser.image_shape
        self.num_classes = denoiser.num_classes
        self.restart()

    def restart(self) -> None:
        """The next evaluation begins a new trajectory."""
        self._shape: torch.Size | None = None
        self._sigma: Tensor | None = None
        self._evaluations = 0

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x0 [B, C, H, W]."""
        sigma = sigma.to(x.device).expand(len(x))
        try:
            return self._in_bands(x, sigma, labels)
        except BaseException:  # what the layers hold is of no whole evaluation
            self.restart()
            raise

    def _in_bands(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        exchange = self.exchange
        exchange.begin(self._fresh(x, sigma), keep=self.warm_up is not None)
        bands = exchange.cut(x)
        some_labels = None if labels is None else exchange.each(labels)
        with divided(self.denoiser.unet, exchange):
            hidden = self.denoiser.encode(bands, exchange.each(sigma), some_labels)
            own = replace(hidden, x=bands[:, :, 1:-1])  # without the neighbours' rows
            return exchange.join(self.denoiser.decode(own))

    def _fresh(self, x: Tensor, sigma: Tensor) -> bool:
        """Whether this evaluation waits for the other bands' values of its own."""
        if self.warm_up is None:
            return True
        if self._sigma is None or x.shape != self._shape or bool((sigma > self._sigma).any()):
            self._evaluations = 0
        self._shape, self._sigma = x.shape, sigma.clone()
        self._evaluations += 1
        return self._evaluations <= 1 + self.warm_up
