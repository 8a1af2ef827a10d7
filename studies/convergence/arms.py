"""The arms of the study: changes of the settings of one training, each beside its control."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Changes = Mapping[str, Mapping[str, Any]]
"""{section of params.yaml: its changed keys}."""


@dataclass(frozen=True)
class Arm:
    """One way to train."""

    changes: Changes = field(default_factory=dict)
    control: str = "log_normal"
    """The arm whose final quality it has to reach."""
    lr: float = 0.01
    transfer: bool = False
    """Whether it begins with the weights of --source, whose own training counts nothing."""


FIVE = {"solver": "unipc", "solver_options": {"order": 2}, "grid": "quadratic", "steps": 5}
"""The best sampler of five evaluations without training (studies/distil/arms.py)."""

ARMS: dict[str, Arm] = {
    "log_normal": Arm(),
    "vp_linear": Arm({"noise": {"schedule": "vp_linear"}}),
    "adaptive": Arm({"noise": {"schedule": "adaptive"}}),
    "adaptive_gradient": Arm({"noise": {"schedule": "adaptive", "adapt_by": "gradient"}}),
    "speed": Arm({"noise": {"schedule": "speed"}}, control="vp_linear"),
    "sampler": Arm({"noise": {"schedule": "sampler", "sampler": FIVE}}),
    "curriculum": Arm({"noise": {"curriculum_kimg": 50.0}}),
    "min_snr": Arm({"noise": {"weighting": "min_snr"}}),
    "p2": Arm({"noise": {"weighting": "p2"}}),
    "perturbation": Arm({"noise": {"perturbation": 0.1}}),
    "adamw": Arm({"train": {"optimizer": "adamw"}}),
    "muon": Arm({"train": {"optimizer": "muon"}}, lr=0.1),
    "transfer": Arm({"train": {"init_copy": "overlap"}}, transfer=True),
    "transfer_gains": Arm({"train": {"init_copy": "overlap", "tuned": "gains"}}, transfer=True),
    "transfer_adapter": Arm({"train": {"init_copy": "overlap", "tuned": "adapter"}}, transfer=True),
}
"""{name: arm}. Each is trained at the same kimg as its control, from the same initial
weights unless they are given."""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "Which noise levels are drawn": (
        *("log_normal", "adaptive", "adaptive_gradient", "curriculum", "sampler"),
        *("vp_linear", "speed"),
    ),
    "How much a level counts": ("log_normal", "min_snr", "p2", "perturbation"),
    "Which optimiser": ("log_normal", "adamw", "muon"),
    "Where the weights begin": ("log_normal", "transfer", "transfer_gains", "transfer_adapter"),
}
"""{question: its arms}; each has a table."""
