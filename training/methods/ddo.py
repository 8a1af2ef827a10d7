"""The method `ddo`: the student's likelihood ratio to its teacher is the discriminator."""

import torch
from torch import Tensor

from dataset.slots import slot_indices, slot_uniform
from models.layers.slot_dropout import dropout_keys
from sampling.config import SamplerConfig
from training.batches import add_sums, draw_batch
from training.methods.denoising import autocast
from training.methods.distillation import Distillation
from training.objectives import direct_discrimination
from training.students import DDOConfig


class DirectDiscrimination(Distillation):
    """Direct discriminative optimization (Zheng et al., arXiv 2503.01103) of a full-length student.

    Training images and as many that the teacher drew are told apart by the ratio of the student's
    likelihood to the teacher's; at the best student the two sets cannot be told apart. A step asks
    the student for two images and the teacher for two, about 2.5 times the work of denoising.
    """

    @property
    def config(self) -> DDOConfig:
        config = super().config
        assert isinstance(config, DDOConfig)
        return config

    def accumulate(self, turn: str, slots: range) -> dict[str, Tensor]:
        settings, student, device = self.settings, self.student, self.world.device
        pairs, seed = self.teacher_pairs, settings.seed
        sums: dict[str, Tensor] = {}
        for part in self.parts(slots):
            batch = draw_batch(settings, self.dataset, student.codec, part, device)
            rows = torch.from_numpy(slot_indices(seed, pairs.count, part))
            hidden = slot_uniform(seed, "label_dropout", part) < settings.model.label_dropout
            labels = torch.where(torch.from_numpy(hidden), -1, pairs.labels[rows]).to(device)
            drawn = pairs.images[rows].to(device)
            with autocast(settings, self.world), dropout_keys(student, batch.dropout):
                losses = direct_discrimination(
                    *(student, self.teacher, (batch.images, batch.labels), (drawn, labels)),
                    *(batch.sigma, batch.noise, self.config.beta, self.config.alpha),
                )
            (losses["loss"].sum() / len(slots)).backward()
            add_sums(sums, losses)
        return sums

    def preview(self) -> SamplerConfig | None:
        """The teacher's sampler."""
        return self.config.sampler
