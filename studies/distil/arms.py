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
    kimg: float = 512.0
    lr: float = 0.003

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


ARMS: dict[str, Arm] = {
    "regression": Arm("regression"),
    "consistency": Arm("consistency", evaluations=(1, 2, 4)),
    "consistency_teacher": Arm("consistency", {"target": "teacher"}, (1, 2, 4)),
    "matching": Arm("distribution_matching"),
    "matching_per_sample": Arm("distribution_matching", game="per_sample"),
    "matching_graph": Arm("distribution_matching", game="graph"),
    "matching_channel_mean": Arm("distribution_matching", {"adversarial": 0.02}),
    "matching_4": Arm("distribution_matching", {"start": FEW[4]}, (4,)),
    "matching_2": Arm("distribution_matching", {"start": FEW[2]}, (2,)),
    "matching_1to1": Arm("distribution_matching", {"critic_steps": 1}),
    "no_critic": Arm("distribution_matching", {"critic": False}),
    "plain": Arm(CONTROL, evaluations=(1, 2, 4), lr=0.0005),
    "game_1": _game(1),
    "game_2": _game(2),
    "game_4": _game(4),
}
"""{name: arm}. Controls: critic and student equally often; the teacher's score alone, which should
collapse; the teacher trained on, plainly and with the game upon its own sampler."""
