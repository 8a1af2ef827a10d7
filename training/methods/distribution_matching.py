"""The method `distribution_matching`: the student follows the teacher's and a critic's scores."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from dataset.slots import slot_indices, slot_normal, slot_uniform
from dataset.store import ImageDataset
from foundation.workers import World
from models.denoiser import Denoiser
from training.batches import add_sums, draw_batch
from training.distillation.channel_mean import accuracy, critic_loss, judge, student_term
from training.distillation.rollout import rollout
from training.methods.denoising import autocast
from training.methods.distillation import Distillation
from training.noise.levels import sigma_quantile
from training.objectives import (
    Denoise,
    denoising_loss,
    distribution_matching_gradient,
    follow,
)
from training.run_settings import RunSettings
from training.students import DistributionMatchingConfig

LOW, HIGH, RHO = 0.002, 80.0, 7.0
"""Ends and curvature of the Karras noise levels (EDM, Eq. 5) at which images are compared."""


class DistributionMatching(Distillation):
    """DMD2 (Yin et al., arXiv 2405.14867), with DMD's regression (arXiv 2311.18828) as an option.

    The critic learns to denoise the student's images at every step; the student moves at every
    `critic_steps`-th, before the critic. With several levels both see images of a random number of
    evaluations, the same number for a whole batch, whose inputs are the student's own.

    With `adversarial` above 0 the critic also learns, from the first step on, to tell noisy
    training images from the student's (SiDA, arXiv 2410.14919), and from `adversarial_start_kimg`
    on the student is moved towards what the critic takes for a training image.
    """

    def __init__(self, settings: RunSettings, dataset: ImageDataset, world: World):
        super().__init__(settings, dataset, world)
        config = self.config
        # No dropout: the student's images must be those that its sampler draws.
        self.student.eval()
        if config.critic:
            self.players["critic"] = self.copy("critic", None, config.critic_lr)
            self.players["critic"].network.eval()

    @property
    def config(self) -> DistributionMatchingConfig:
        config = super().config
        assert isinstance(config, DistributionMatchingConfig)
        return config

    @property
    def critic(self) -> Denoiser:
        """The denoiser of the student's images."""
        network = self.players["critic"].network
        assert isinstance(network, Denoiser)
        return network

    def turns(self, step: int) -> Sequence[str]:
        student = (self.deployed,) if step % self.config.critic_steps == 0 else ()
        return (*student, "critic") if self.config.critic else student

    def stop(self, slots: range) -> int:
        """The last evaluation of the images of a whole batch: 0 to the number of levels - 1."""
        levels = len(self.config.start)
        step = slots.start // len(slots)
        uniform = slot_uniform(self.settings.seed, "student/evaluations", [step])[0]
        return min(int(uniform * levels), levels - 1)

    def adversarial(self, slots: range) -> float:
        """Weight of the student's adversarial term at the step of a whole batch."""
        begun = slots.start >= 1000 * self.config.adversarial_start_kimg
        return self.config.adversarial if begun else 0.0

    def draw(self, stream: str, slots: range, stop: int) -> tuple[Tensor, Tensor]:
        """The student's images [B, C, H, W] of these slots, and their labels int64 [B]."""
        seed, device, shape = self.settings.seed, self.world.device, self.student.image_shape
        train = self.dataset.train_indices
        labels = torch.full((len(slots),), -1)
        if self.student.num_classes:
            rows = train[slot_indices(seed, len(train), slots)]
            labels = self.dataset.stored(rows)[1]
        labels = labels.to(device)

        def fresh(step: int) -> Tensor:
            noise = slot_normal(seed, f"{stream}/noise of evaluation {step}", slots, shape)
            return noise.to(device)

        return rollout(self.student, self.config.start, stop, fresh, labels), labels

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        stop, adversarial = self.stop(slots), self.adversarial(slots)
        sums: dict[str, Tensor] = {}
        for part in self.parts(slots):
            with autocast(self.settings, self.world):
                if turn == "critic":
                    losses = self.critic_losses(part, stop)
                else:
                    losses = self.student_losses(part, stop, adversarial)
            (losses["loss"].sum() / len(slots)).backward()
            add_sums(sums, losses)
        return sums

    def critic_losses(self, slots: range, stop: int) -> dict[str, Tensor]:
        """Denoising loss of the student's images, with the learned uncertainty, [B].

        The training images that the critic tells from them are those of the slots, so they have the
        same labels, and are seen at the same noise levels.
        """
        seed, config, device = self.settings.seed, self.config, self.world.device
        with torch.no_grad():
            images, labels = self.draw("critic", slots, stop)
        quantile = slot_uniform(seed, "critic/sigma", slots)
        sigma = torch.from_numpy(sigma_quantile(self.settings.noise, quantile)).float().to(device)
        noise = slot_normal(seed, "critic/renoise", slots, images.shape[1:]).to(device)
        if not config.adversarial:
            loss, plain = denoising_loss(self.critic, images, labels, sigma, noise)
            return {"loss": loss, "denoising_loss": plain}
        wide = sigma[:, None, None, None]
        fake, denoise = judge(self.critic, images + wide * noise, sigma, labels)
        loss, plain = denoising_loss(self.critic, images, labels, sigma, noise, denoise)
        shown = draw_batch(self.settings, self.dataset, self.critic.codec, slots, device)
        real, _ = judge(self.critic, shown.images + wide * shown.noise, sigma, labels)
        told = critic_loss(real, fake)
        return {
            "loss": loss + config.adversarial_critic * told,
            "denoising_loss": plain,
            "adversarial_loss": told,
            "accuracy": accuracy(real, fake),
        }

    def student_losses(
        self, slots: range, stop: int, adversarial: float = 0.0
    ) -> dict[str, Tensor]:
        """|x - sg(x - g)|^2 / 2 of each image, [B], and what shows whether the critic keeps up.

        adversarial: weight of the adversarial term's direction, which is added to g.
        """
        seed, config, device = self.settings.seed, self.config, self.world.device
        images, labels = self.draw("student", slots, stop)
        sigma = torch.from_numpy(self.compared(slots)).float().to(device)
        noise = slot_normal(seed, "student/renoise", slots, images.shape[1:]).to(device)
        clean = images.detach()
        noisy = clean + sigma[:, None, None, None] * noise
        critic: Denoise = self.critic if config.critic else partial(_nothing_learned, clean)
        if adversarial:
            noisy.requires_grad_()
            logits, critic = judge(self.critic, noisy, sigma, labels)
        direction = distribution_matching_gradient(
            clean, noisy, sigma, self.teacher, critic, labels
        )
        losses = {
            "direction": direction.square().mean((1, 2, 3)).sqrt(),
            "image_mean": images.mean((1, 2, 3)),
            "image_deviation": images.std((1, 2, 3)),
        }
        if adversarial:
            term, towards_real = student_term(logits, noisy)
            direction = direction + adversarial * towards_real
            losses["adversarial_loss"] = term
            losses["adversarial_direction"] = towards_real.square().mean((1, 2, 3)).sqrt()
        loss = follow(images, direction)
        if config.regression:
            error = self.pair_error(slots)
            losses["regression"] = error
            loss = loss + config.regression * error
        return {"loss": loss, **losses}

    def compared(self, slots: range) -> np.ndarray:
        """Noise levels at which the student's images are compared, float64 [B]: Karras, uniform."""
        low, high = self.config.sigma_range
        share = low + (high - low) * slot_uniform(self.settings.seed, "student/sigma", slots)
        ends = LOW ** (1 / RHO), HIGH ** (1 / RHO)
        return (ends[0] + share * (ends[1] - ends[0])) ** RHO


def _nothing_learned(images: Tensor, noisy: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
    """In a critic's place: the images themselves, as if each were the only one (SDS)."""
    return images
