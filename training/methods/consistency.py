"""The method `consistency`: one image for all states of a path (ECT, consistency distillation)."""

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from dataset.slots import slot_uniform
from models.layers.slot_dropout import dropout_keys
from training.batches import Batch, add_sums, draw_batch
from training.methods.denoising import autocast
from training.methods.distillation import Distillation
from training.objectives import consistency_loss, lower_level, teacher_step
from training.students import ConsistencyConfig


class Consistency(Distillation):
    """Consistency training from the teacher's weights (Geng et al., arXiv 2406.14548).

    The target is the student itself, without average and without gradient, at a lower noise level
    with the same noise, dropout mask and label. With `target: teacher` the lower state is a step of
    the teacher's ODE (consistency distillation, Song et al., arXiv 2303.01469).
    """

    @property
    def config(self) -> ConsistencyConfig:
        config = super().config
        assert isinstance(config, ConsistencyConfig)
        return config

    def stage(self, nimg: int) -> int:
        """Number of the stage that the step which begins at `nimg` images belongs to."""
        return int(nimg // (1000 * self.config.stage_kimg))

    def losses(self, batch: Batch, level: Tensor, stage: int) -> dict[str, Tensor]:
        """Of each image [B]: "loss", and the weighted squared error "consistency_error".

        level: the upper noise levels [B].
        """
        config, student, teacher = self.config, self.student, self.teacher
        lower = lower_level(level, config.ratio, stage)
        # The logarithm of 0 would be no number; rows with r = 0 are not used.
        safe = torch.where(lower > 0, lower, level)

        def target(noisy: Tensor) -> Tensor:
            if config.target == "data":
                state = batch.images + safe[:, None, None, None] * batch.noise
            else:
                heun = config.teacher_solver == "heun"
                state = teacher_step(teacher, noisy, level, lower, batch.labels, heun)
            return student(state, safe, batch.labels)

        loss, error = consistency_loss(
            student,
            target,
            batch.images,
            batch.noise,
            level,
            lower,
            batch.labels,
            student.sigma_data,
            config.huber,
        )
        return {"loss": loss, "consistency_error": error}

    def levels(self, slots: range) -> Tensor:
        """Upper noise levels of these slots, float32 [B] on the CPU."""
        config = self.config
        uniform = slot_uniform(self.settings.seed, "consistency/level", slots)
        quantile = ndtri(np.clip(uniform, 1e-6, 1 - 1e-6))
        return torch.from_numpy(np.exp(config.mean + config.std * quantile)).float()

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        settings, student, device = self.settings, self.student, self.world.device
        sums: dict[str, Tensor] = {}
        for part in self.parts(slots):
            batch = draw_batch(settings, self.dataset, student.codec, part, device)
            level = self.levels(part).to(device)
            with autocast(settings, self.world), dropout_keys(student, batch.dropout):
                losses = self.losses(batch, level, self.stage(slots.start))
            (losses["loss"].sum() / len(slots)).backward()
            add_sums(sums, losses)
        return sums
