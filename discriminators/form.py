"""What the game asks of every form of discriminator."""

from typing import NamedTuple

from torch import Tensor, nn

from discriminators.bank import Bank


class LossD(NamedTuple):
    """The discriminator's loss in its two parts, and what is logged of it."""

    adversarial: Tensor  # []
    penalty: Tensor  # [], (gamma R1 + gamma_r2 R2) / 2
    report: dict[str, Tensor]  # scalars; the gate reads "accuracy" (0.5 = chance) and "logit_gap"


class Form(nn.Module):
    """A discriminator of the structure of one global batch; made as cls(num_features, config).

    real, fake: features [N, F] of the whole batch. labels: int64 [N], group labels, row i of which
    holds for real[i] and for fake[i] (see ImageDataset.group_labels; -1 = of no known group): they
    say which samples may be compared, not what the denoiser was asked for.
    """

    paired: bool
    """True: real[i] is the image that fake[i] was made from. False: an independent draw."""
    trained: bool = True
    """False: it has no weights to learn, so it has no accuracy, and the gate asks for none."""
    uses_bank: bool = False
    """Whether the game anchors it in a bank of real images, none of which is in a play's reals."""
    uses_fakes: bool = False
    """Whether it is anchored in recent fakes too, none of which is in the play."""

    def neighbours(self, num_samples: int) -> int:
        """Other samples that each one is compared with in a batch of that size; logged as k."""
        raise NotImplementedError

    def calibrate(self, real: Tensor, batch_size: int) -> None:
        """Fit constants to real features [M, F] before the first play; does nothing by default.

        batch_size: samples in each set of a play.
        """

    def anchor(self, reals: Bank, fakes: Bank | None = None) -> None:
        """Set the banks that the next losses look into; only where uses_bank is true.

        fakes: None where there are none yet.
        """
        raise NotImplementedError

    def loss_d(self, real: Tensor, fake: Tensor, labels: Tensor) -> LossD:
        """Loss of the discriminator. The features are constants here."""
        raise NotImplementedError

    def loss_g(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        """Adversarial loss of the denoiser, a scalar differentiable in `fake`."""
        raise NotImplementedError

    def soften(self, factor: float) -> None:
        """Scale the logits by `factor` and leave the rest as learned; does nothing by default."""
