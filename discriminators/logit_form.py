"""The unpaired forms: a network gives each sample a logit, and the losses are made of these."""

import torch
from torch import Tensor, nn

from discriminators.config import DiscriminatorConfig
from discriminators.form import Form, LossD
from discriminators.losses import LOSSES, gradient_penalty, pair_accuracy


class LogitForm(Form):
    """A form whose losses are those of logits; a class derived from it writes `forward`.

    It also says how many `neighbours` a sample has, and makes `head`.
    """

    paired = False
    head: nn.Sequential
    """The end of the network. Its last layer, a linear one, gives the logits."""

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.gamma_r1, self.gamma_r2 = config.gammas
        self.objective_d, self.objective_g = LOSSES[config.loss]

    def forward(self, features: Tensor, groups: Tensor) -> Tensor:
        """One set of features [N, F], real or fake, and group labels int64 [N] -> logits [N]."""
        raise NotImplementedError

    def loss_d(self, real: Tensor, fake: Tensor, labels: Tensor) -> LossD:
        real = real.detach().requires_grad_()
        fake = fake.detach().requires_grad_()
        real_logits, fake_logits = self(real, labels), self(fake, labels)
        r1, r2 = gradient_penalty(real_logits, real), gradient_penalty(fake_logits, fake)
        report = {
            "real_logit": real_logits.mean(),
            "fake_logit": fake_logits.mean(),
            "logit_gap": real_logits.mean() - fake_logits.mean(),
            "accuracy": pair_accuracy(real_logits, fake_logits, labels),
            "r1": r1,
            "r2": r2,
        }
        adversarial = self.objective_d(real_logits, fake_logits)
        return LossD(adversarial, 0.5 * (self.gamma_r1 * r1 + self.gamma_r2 * r2), report)

    def loss_g(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            real_logits = self(real, labels)
        return self.objective_g(real_logits, self(fake, labels))

    @torch.no_grad()
    def soften(self, factor: float) -> None:
        for parameter in self.head[-1].parameters():
            parameter.mul_(factor)
