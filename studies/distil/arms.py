"""The arms of the study: students of each kind, and the controls that are trained."""

from dataclasses import dataclass, field
from typing import Any

from sampling.config import SamplerConfig
from sampling.for_students import student_sampler

FEW = {1: (80.0,), 2: (80.0, 1.0), 4: (80.0, 5.0, 1.0, 0.2)}
"""{evaluations: noise levels of multistep consistency sampling}; the levels lie where the data's
details are decided (deviation 0.5)."""
FREE_GRIDS = {2: "vp_time", 4: "vp_time", 5: "quadratic", 8: "log_snr"}
"""{evaluations: time grid with which UniPC draws best without any training here}."""
GAME = {
    "fakes": "deployed",
    "feature_sigmas": (0.05, 0.3, 1.0),
    "gamma": 1.0,
    "lr": 0.002,
    "opponent_steps": 10,
    "start_kimg": 20.0,
    "every": 10,
    "batch_size": 64,
    "gate": {"chance_margin": 0.0, "min_plays": 10},
}
"""The game of the preset fashion_mnist, upon an arm's own sampler."""
LONG, SHORT = 160.0, 40.0
"""Length (kimg) of the arms that are judged against the aims, and of those that compare choices.
The controls of the latter: the first snapshot of `matching` (studies/distil/snapshots.py), for its
rate and averages after 40 kimg do not know the length, and `consistency` with --kimg 40."""
CONTROL = "denoising"
"""Kind of the arms that are no students."""


@dataclass(frozen=True)
class Arm:
    """One way to train, and the numbers of evaluations that it is judged at."""

    kind: str
    """A kind of student, or `denoising`: the teacher itself is trained on."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Settings of the student (training/students.py); of a control, of its training."""
    evaluations: tuple[int, ...] = (1,)
    game: str | None = None
    """Discriminator of the adversarial term; None: there is none."""
    game_changes: dict[str, Any] = field(default_factory=dict)
    """Settings of the game that differ from GAME."""
    kimg: float = SHORT
    lr: float = 0.003
    stages: int | None = None
    """Stages of consistency training, of equal length; None: stage_kimg decides."""

    def student_changes(self) -> dict[str, Any]:
        """`changes`, with the length of a stage."""
        return self.changes | ({"stage_kimg": self.kimg / self.stages} if self.stages else {})

    def sampler(self, evaluations: int) -> SamplerConfig:
        """The sampler that this arm is judged with, and that its game is played upon."""
        if self.kind != CONTROL:
            return student_sampler(FEW[evaluations])
        sampler = student_sampler(None) if evaluations == 1 else free_sampler(evaluations)
        return sampler.model_copy(update={"adapter": self.game is not None})


def free_sampler(evaluations: int) -> SamplerConfig:
    """The teacher's best sampler without training."""
    return SamplerConfig(
        solver="unipc",
        solver_options={"order": 2},
        grid=FREE_GRIDS[evaluations],
        steps=evaluations,
    )


def _game(evaluations: int) -> Arm:
    """The adapter game of docs/method.md upon a sampler of so many evaluations."""
    changes = {"start_kimg": 0.0, "every": 2 if evaluations < 4 else 4}
    return Arm(CONTROL, {}, (evaluations,), "per_sample", changes, lr=0.0005)


OFTEN = {"batch_size": 32, "lr_decay_kimg": 48.0}
"""Many steps: on seed 20 batches of 32 were better than 64 and 128 at equal images and time."""
CHANNEL_MEAN = {"adversarial": 0.1, "adversarial_critic": 0.3, "adversarial_start_kimg": 12.0}
"""On seed 20; with DMD2's 0.01 the critic's accuracy stays at chance."""


def _matching(kimg: float, evaluations: int = 1, game: str | None = None, **changes: Any) -> Arm:
    start = {} if evaluations == 1 else {"start": FEW[evaluations]}
    every = {"every": 10} if game else {}
    changes = OFTEN | start | changes
    return Arm("distribution_matching", changes, (evaluations,), game, every, kimg)


def _consistency(kimg: float, **changes: Any) -> Arm:
    return Arm("consistency", OFTEN | changes, (1, 2, 4), kimg=kimg, stages=4)


ARMS: dict[str, Arm] = {
    "matching": _matching(LONG),
    "matching_2": _matching(SHORT, 2),
    "matching_4": _matching(SHORT, 4),
    "consistency": _consistency(LONG),
    "consistency_teacher": _consistency(SHORT, target="teacher"),
    "regression": Arm("regression", OFTEN, kimg=LONG),
    "matching_channel_mean": _matching(SHORT, **CHANNEL_MEAN),
    "matching_per_sample": _matching(SHORT, game="per_sample"),
    "matching_graph": _matching(SHORT, game="graph"),
    "matching_1to1": _matching(SHORT, critic_steps=1),
    "no_critic": _matching(16.0, critic=False),
    "plain": Arm(CONTROL, evaluations=(1, 2, 4), kimg=SHORT, lr=0.0005),
    "game_1": _game(1),
    "game_2": _game(2),
    "game_4": _game(4),
}
"""{name: arm}. Controls: critic and student equally often; the teacher's score alone, which should
collapse; the teacher trained on, plainly and with the game upon its own sampler."""
