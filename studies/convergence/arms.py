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
    "gradient_penalty": Arm({"noise": {"gradient_penalty": 0.01}}),
    "adamw": Arm({"train": {"optimizer": "adamw"}}),
    "muon": Arm({"train": {"optimizer": "muon"}}, lr=0.1),
    "multi_scale": Arm(
        {
            "model": {
                "convolution": "multi_scale",
                "channel_mult": (1, 2, 5),
                "channels_per_head": 40,
            }
        }
    ),
    "separable": Arm(
        {"model": {"convolution": "separable", "channels": 36, "channels_per_head": 36}}
    ),
    "no_residual": Arm({"model": {"residual": False}}),
    "transformer": Arm(
        {
            "model": {
                "backbone": "transformer",
                "channels": 76,
                "channel_mult": (1,),
                "blocks": 2,
                "attention_resolutions": (),
            }
        }
    ),
    "attention_8_4": Arm({"model": {"attention_resolutions": (8, 4)}}),
    "no_attention": Arm({"model": {"attention_resolutions": ()}}),
    "transfer": Arm({"train": {"init_copy": "overlap"}}, transfer=True),
    "transfer_gains": Arm({"train": {"init_copy": "overlap", "tuned": "gains"}}, transfer=True),
    "transfer_adapter": Arm({"train": {"init_copy": "overlap", "tuned": "adapter"}}, transfer=True),
}
"""{name: arm}. Each is trained at the same kimg as its control, from the same initial weights where
both have the same and none are given. Networks have about the operations of the control's: at 16x16
pixels an evaluation takes 60.5 million of the preset fashion_mnist, 61.1 of multi_scale, 61.2 of
separable, 58.8 of no_residual (97% of the parameters), 63.7 of transformer; 63.7 and 58.2 of the
two placements of attention."""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "Which noise levels are drawn": (
        *("log_normal", "adaptive", "adaptive_gradient", "curriculum", "sampler"),
        *("vp_linear", "speed"),
    ),
    "How much a level counts": ("log_normal", "min_snr", "p2"),
    "Regularisation": ("log_normal", "perturbation", "gradient_penalty"),
    "Which optimiser": ("log_normal", "adamw", "muon"),
    "Which network, at equal operations": (
        *("log_normal", "multi_scale", "separable", "no_residual", "transformer"),
        *("attention_8_4", "no_attention"),
    ),
    "Where the weights begin": ("log_normal", "transfer", "transfer_gains", "transfer_adapter"),
}
"""{question: its arms}; each has a table."""
