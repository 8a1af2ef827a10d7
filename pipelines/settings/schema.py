"""The sections of params.yaml, each with the settings of its component."""

from typing import Annotated

from pydantic import Field

from dataset.config import DatasetConfig
from evaluation.config import EvaluationConfig
from foundation.bounds import AtMost
from foundation.settings_base import Settings
from models.autoencoders.config import AnyAutoencoderConfig, KLConfig, NoAutoencoderConfig
from models.config import EMAConfig, ModelConfig
from pipelines.settings.cluster import ClusterConfig
from pipelines.settings.tracking import TrackingConfig
from sampling.config import SamplerConfig
from training.attributes.config import AttributeConfig
from training.config import NoiseConfig, TrainConfig
from training.run_settings import RunSettings
from training.structure.config import StructureConfig
from training.students import Student

MAX_SAMPLERS = AtMost(256, "each is evaluated with every EMA length")
MAX_ATTRIBUTES = AtMost(256, "a predictor of each is trained for every EMA length")
MAX_STUDENTS = AtMost(256, "each is trained one after the other")


class Params(Settings):
    """All settings of the pipeline."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of initial weights, training noise and generated images."""
    dataset: DatasetConfig = DatasetConfig()
    """Where the images come from and how they are prepared."""
    autoencoder: AnyAutoencoderConfig = NoAutoencoderConfig()
    """Between pictures and what the denoiser sees: none (pixels), or latents (docs/latents.md)."""
    model: ModelConfig = ModelConfig()
    """The denoiser."""
    noise: NoiseConfig = NoiseConfig()
    """Noise levels seen in training."""
    train: TrainConfig = TrainConfig()
    """Length, speed and precision of training."""
    structure: StructureConfig = StructureConfig()
    """The structure game."""
    ema: EMAConfig = EMAConfig()
    """The averages of the weights kept in training, and those made from them afterwards."""
    sampling: Annotated[dict[str, SamplerConfig], Field(min_length=1), MAX_SAMPLERS] = Field(
        default={"default": SamplerConfig()}
    )
    """Sampler settings by name."""
    samplers: Annotated[tuple[str, ...], Field(min_length=1), MAX_SAMPLERS] = ("default",)
    """Names of the sampler settings that are evaluated."""
    attributes: Annotated[dict[str, AttributeConfig], MAX_ATTRIBUTES] = Field(default={})
    """Attributes by name: predictors that guidance `marginal` and `distribution` read
    (docs/steering.md)."""
    students: Annotated[dict[str, Student], MAX_STUDENTS] = Field(default={})
    """Students of the trained denoiser, by name: copies of it that learn to draw in few steps
    (docs/distillation.md)."""
    distil: Annotated[tuple[str, ...], MAX_STUDENTS] = ()
    """Names of the students that are trained and evaluated."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How results are judged."""
    cluster: ClusterConfig = ClusterConfig()
    """Where the pipeline runs; no result depends on it."""
    tracking: TrackingConfig = TrackingConfig()
    """What MLflow keeps; no result depends on it."""

    def run_settings(self) -> RunSettings:
        """The settings that training takes."""
        return RunSettings(
            seed=self.seed,
            model=self.model,
            noise=self.noise,
            train=self.train,
            structure=self.structure,
            ema=self.ema,
            micro_batch=self.cluster.micro_batch,
            checkpoint_every_s=self.cluster.checkpoint_every_s,
            sample_every_kimg=self.tracking.sample_every_kimg if self.tracking.enabled else None,
        )

    def autoencoder_settings(self) -> RunSettings:
        """The settings with which the autoencoder is trained, whose kind is kl."""
        config = self.autoencoder
        assert isinstance(config, KLConfig), config.kind
        train = TrainConfig(
            method="autoencoder",
            total_kimg=config.total_kimg,
            batch_size=config.batch_size,
            lr=config.lr,
            lr_ramp_kimg=config.lr_ramp_kimg,
            lr_decay_kimg=config.lr_decay_kimg,
            precision=config.precision,
            horizontal_flip=True,  # as latents of mirror images are stored too
            log_every_kimg=max(0.1, config.total_kimg / 50),
            held_out_every_kimg=max(0.1, config.total_kimg / 10),
            sigma_bins=1,  # it sees no noise levels
        )
        return RunSettings(
            seed=self.seed,
            model=ModelConfig(),
            noise=NoiseConfig(),
            train=train,
            structure=StructureConfig(kind="none"),
            ema=EMAConfig(snapshots=2),
            micro_batch=self.cluster.micro_batch,
            checkpoint_every_s=self.cluster.checkpoint_every_s,
            autoencoder=config,
        )

    def training_settings(self, student: str | None, teacher: str | None = None) -> RunSettings:
        """The settings with which the denoiser (None), or the student of this name, is trained."""
        if student is None:
            return self.run_settings()
        return self.student_settings(student, teacher)

    def student_settings(self, name: str, teacher: str | None = None) -> RunSettings:
        """The settings with which the student of this name is trained.

        teacher: weights file of the teacher. A student sees each label, so that none is hidden.
        """
        student = self.students[name]
        train = TrainConfig(
            method=student.kind,
            total_kimg=student.total_kimg,
            batch_size=student.batch_size,
            lr=student.lr,
            lr_ramp_kimg=student.lr_ramp_kimg,
            lr_decay_kimg=student.lr_decay_kimg,
            adam_betas=student.adam_betas,
            grad_clip=student.grad_clip,
            log_every_kimg=student.log_every_kimg,
            max_bad_steps=self.train.max_bad_steps,
            precision=self.train.precision,
            compile=self.train.compile,
            horizontal_flip=self.train.horizontal_flip,
        )
        return self.run_settings().model_copy(
            update={
                "model": self.model.model_copy(update={"label_dropout": 0.0}),
                "train": train,
                "structure": student.structure,
                "ema": self.ema.model_copy(
                    update={"snapshots": student.snapshots, "lengths": student.lengths}
                ),
                "student": student,
                "teacher": teacher,
            }
        )
