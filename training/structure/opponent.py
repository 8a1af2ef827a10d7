"""The denoiser's opponent: a discriminator with its optimiser."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dataset.slots import slot_generator
from discriminators.bank import Bank
from discriminators.form import Form
from discriminators.forms import make_form
from foundation.workers import World
from training.players import under
from training.structure.config import StructureConfig
from training.structure.recent_plays import RecentPlays

ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")


class Opponent:
    """A form of discriminator and Adam; both see features [N, F] of the global batch.

    Every worker computes the whole batch, and all use rank 0's gradients, so that rounding does not
    make their copies differ. They are computed in the precision of `like`, outside any autocast.
    """

    def __init__(
        self, config: StructureConfig, num_features: int, like: Tensor, world: World, seed: int
    ):
        form_seed = slot_generator(seed, "structure/discriminator", 0).initial_seed()
        self.form: Form = make_form(config, num_features, form_seed)
        self.form.to(like.device, like.dtype)
        self.optimizer: torch.optim.Optimizer | None = None
        """None for a form that learns nothing."""
        if self.form.trained:
            betas = (0.0, 0.99)
            self.optimizer = torch.optim.Adam(self.form.parameters(), lr=config.lr, betas=betas)
        self.world, self.seed, self.steps = world, seed, config.opponent_steps
        self.like = like
        self._kept = False  # whether the play's own fakes are the newest of the recent ones
        self.recent = RecentPlays(config.recent_plays)
        self.bank: Bank | None = None
        """Real images that no play shows, for a form that looks into a bank."""

    def open(self, real: Tensor, batch_size: int) -> None:
        """Begin with new features. real: of real images [M, F]; batch_size: of the plays."""
        self.form.calibrate(real, batch_size)
        for buffer in self.form.buffers():
            self.world.broadcast_(buffer)
        self.recent.clear()

    def observe(
        self,
        real: Tensor,
        fake: Tensor,
        labels: Tensor,
        shown: Tensor,
        play: int,
        *,
        train: bool = True,
    ) -> dict[str, float]:
        """The `opponent_steps` of a play: one on its own batch, the others on rows of recent plays.

        shown: which training image each real is, int64 [N]. play: number of the play. train:
        whether to learn. Returns the metrics of the play's own batch, before any step on it.
        """
        self._anchor(real, self.recent.other_fakes(drawn=False))
        report = self.step(real, fake, labels, train=train)
        self._kept = False
        kept = self.form.uses_fakes or (self.steps > 1 and self.form.trained)
        if kept and all(map(math.isfinite, report.values())):
            self.recent.add(real, fake, labels, shown)
            self._kept = True
            if train and self.form.trained and len(self.recent) > 1:  # one play has one graph
                for number in range(1, self.steps):
                    draw = play * self.steps + number
                    generator = slot_generator(self.seed, "structure/recent plays", draw)
                    mixed = self.recent.mixed(len(real), generator)
                    self._anchor(mixed[0], self.recent.other_fakes(drawn=True))
                    self.step(*mixed)
        return report

    def _anchor(self, real: Tensor, others: tuple[Tensor, Tensor] | None) -> None:
        """Show the form its banks: none of what it judges next, nor a copy of it, is in them.

        Where there are two they are equally large, or the larger would have the nearer points.
        """
        if not self.form.uses_bank:
            return
        assert self.bank is not None, "the game fills the bank first"
        reals, fakes = self.bank.without_copies_of(real), None
        if self.form.uses_fakes and others is not None:
            fakes = self.bank.like(*others)
            if self.form.trained:
                size = min(len(reals), len(fakes))
                reals, fakes = reals.first(size), fakes.last(size)  # the newest
        self.form.anchor(reals, fakes)

    def step(
        self, real: Tensor, fake: Tensor, labels: Tensor, *, train: bool = True
    ) -> dict[str, float]:
        """One optimiser step; returns the metrics of the batch before it.

        No step is made if `train` is false or a gradient or metric is not finite.
        """
        with torch.autocast(real.device.type, enabled=False):
            result = self.form.loss_d(real, fake, labels)
            loss = result.adversarial + result.penalty
            parameters = list(self.form.parameters())
            found: Sequence[Tensor | None] = ()
            if parameters:
                found = torch.autograd.grad(loss, parameters, allow_unused=True)
        report = {**result.report, **({"loss_d": loss} if parameters else {})}
        flat = [
            torch.zeros_like(p).reshape(-1) if g is None else g.reshape(-1)
            for p, g in zip(parameters, found, strict=True)
        ]
        numbers = torch.stack([value.detach().reshape(()) for value in report.values()])
        shared = self.world.broadcast_(torch.cat([*flat, numbers]))
        *pieces, numbers = shared.split([p.numel() for p in parameters] + [len(report)])
        if self.optimizer is not None and train and torch.isfinite(shared).all():
            for parameter, piece in zip(parameters, pieces, strict=True):
                parameter.grad = piece.view_as(parameter)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return dict(zip(report, numbers.tolist(), strict=True))

    def feature_gradient(self, real: Tensor, fake: Tensor, labels: Tensor) -> tuple[float, Tensor]:
        """The denoiser's adversarial loss, and its gradient dL/dF [N, F] by the fake features."""
        self._anchor(real, self.recent.other_fakes(drawn=False, last=not self._kept))
        leaf = fake.detach().requires_grad_()
        with torch.enable_grad(), torch.autocast(real.device.type, enabled=False):
            loss = self.form.loss_g(real, leaf, labels)
            (gradient,) = torch.autograd.grad(loss, leaf)
        return loss.item(), self.world.broadcast_(gradient.contiguous())

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, Adam's state and the recent plays, by flat names."""
        tensors = {f"form.{name}": value for name, value in self.form.state_dict().items()}
        moments = {} if self.optimizer is None else self.optimizer.state
        for name, parameter in self.form.named_parameters():
            for key, value in moments.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
        recent = self.recent.state_dict()
        return tensors | {f"recent.{name}": value for name, value in recent.items()}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        self.form.load_state_dict(under("form.", tensors))
        if self.optimizer is not None:
            self._load_moments(self.optimizer, tensors)
        self.recent.load_state_dict(under("recent.", tensors), self.like)

    def _load_moments(self, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
        optimizer.state.clear()
        for name, parameter in self.form.named_parameters():
            for key in ADAM_STATE:
                value = tensors.get(f"optimizer.{key}.{name}")
                if value is not None:
                    device = "cpu" if key == "step" else parameter.device
                    optimizer.state[parameter][key] = value.clone().to(device)
