"""The arms of the study: students of each kind, and the controls that are trained."""

from dataclasses import dataclass, field
from typing import Any

FEW = {1: (80.0,), 2: (80.0, 1.0), 4: (80.0, 5.0, 1.0, 0.2)}
"""{evaluations: noise levels of multistep consistency sampling}; the levels lie where the data's
details are decided (deviation 0.5)."""
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
"""The adversarial term of a student: the game of the preset fashion_mnist, upon its own sampler."""


@dataclass(frozen=True)
class Arm:
    """One way to train a student, and the numbers of evaluations that it is judged at."""

    kind: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Settings of the student (training/students.py)."""
    evaluations: tuple[int, ...] = (1,)
    game: str | None = None
    """Discriminator of the adversarial term; None: there is none."""


ARMS: dict[str, Arm] = {
    "regression": Arm("regression"),
    "consistency": Arm("consistency", evaluations=(1, 2, 4)),
    "consistency_teacher": Arm("consistency", {"target": "teacher"}, (1, 2, 4)),
    "matching": Arm("distribution_matching"),
    "matching_per_sample": Arm("distribution_matching", game="per_sample"),
    "matching_graph": Arm("distribution_matching", game="graph"),
    "matching_4": Arm("distribution_matching", {"start": FEW[4]}, (4,)),
    "matching_2": Arm("distribution_matching", {"start": FEW[2]}, (2,)),
    "matching_1to1": Arm("distribution_matching", {"critic_steps": 1}),
    "no_critic": Arm("distribution_matching", {"critic": False}),
}
"""{name: arm}. The last two are controls: critic and student equally often, and the teacher's score
alone, which should collapse."""
