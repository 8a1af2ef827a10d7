"""Inputs of a small report, to be changed by tests."""

from dataclasses import replace

from pipelines.reporting.inputs import Inputs, Origin
from pipelines.reporting.stage_outputs import Item

ITEM = {
    "item": "0.1-fast",
    "ema_length": 0.1,
    "sampler": "fast",
    "num_images": 64,
    "network_evaluations": 16,
    "n": 20,
    "metrics": {"kid": {"value": 0.02, "floor": 0.001, "floor_std": 0.002, "std": 0.001}},
}


def item(**changes):
    return Item.model_validate(ITEM | changes)


def inputs(items=None, **changes):
    plain = Inputs(
        items=items or [item()],
        train={"total_nimg": 128_000, "structure_kind": "none"},
        curves={},
        dataset={
            "resolution": 16,
            "channels": 3,
            "num_train": 75,
            "num_held_out": 25,
            "num_classes": 2,
            "label_names": ["cat & <dog>", "ant"],
            "class_counts": [60, 40],
        },
        reference={},
        reconstruct={},
        origin=Origin("pets", "digits", {}, {"git.commit": "ab12" * 10, "git.dirty": "false"}),
    )
    return replace(plain, **changes)
