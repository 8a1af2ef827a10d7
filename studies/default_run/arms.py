"""The arms of the study: settings of the default run on digits."""

from typing import Any

from foundation.nested_settings import merged
from studies.convergence.arms import FIVE

LONG: dict[str, Any] = {"solver": "heun", "grid": "karras", "steps": 18}
ADAM: dict[str, Any] = {
    "train": {
        "total_kimg": 120,
        "optimizer": "adam",
        "lr": 0.01,
        "lr_ramp_kimg": 5,
        "lr_decay_kimg": 30,
    },
    "structure": {"kind": "none"},
}
"""How the default run trained before this study, without its game."""


def muon(kimg: int, lr: float = 0.1, **model: Any) -> dict[str, Any]:
    """Muon for so many kimg; a ramp of a thirtieth, and decay from a third on."""
    train = {
        "total_kimg": kimg,
        "optimizer": "muon",
        "lr": lr,
        "lr_ramp_kimg": max(1, kimg // 30),
        "lr_decay_kimg": max(1, kimg // 3),
    }
    return {"train": train, "model": model, "structure": {"kind": "none"}}


def game(kind: str, base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The base with a game that moves an adapter for FIVE, from the middle of the training on."""
    structure: dict[str, Any] = {
        "kind": kind,
        "fakes": "deployed",
        "sampler": FIVE,
        "feature_sigmas": [0.05, 0.3, 1.0],
        "gamma": 1.0,
        "lr": 0.002,
        "opponent_steps": 10,
        "adapter_lr": 0.003,
        "start_kimg": base["train"]["total_kimg"] / 2,
        "every": 2,
        "batch_size": 64,
        "gate": {"chance_margin": 0.0, "min_plays": 10},
    }
    changed = {"structure": structure | changes, "model": {"adapter_rank": 8}}
    return merged(base, changed)


BASE = muon(30)
ARMS: dict[str, dict[str, Any]] = {
    "adam120": ADAM,
    "muon20": muon(20),
    "muon30": BASE,
    "muon40": muon(40),
    "muon30_slow": muon(30, lr=0.05),
    "muon30_multi_scale": muon(30, convolution="multi_scale"),
    "per_sample": game("per_sample", BASE),
    "graph": game("graph", BASE),
    "law": game("law", BASE, whitened=True),
    "per_sample_gentle": game("per_sample", BASE, adapter_lr=0.001),
    "graph_gentle": game("graph", BASE, adapter_lr=0.001),
}
"""{name: changes of the preset digits}."""
