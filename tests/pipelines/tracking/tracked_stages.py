"""A stand-in for Params, and stages that are tracked with it."""

from pipelines.tracking.stage_run import TrackingConfig, stage_run

CONFIG = TrackingConfig(system_metrics=False)
KEYS = {"train": ("seed", "train"), "evaluate": ("evaluation",), "summarize": ()}


class FakeParams:
    """The part of Params that tracking uses."""

    def __init__(self, tracking=CONFIG, **sections):
        self.tracking = tracking
        self.sections = {
            "seed": 0,
            "dataset": {"source": "digits"},
            "structure": {"kind": "graph"},
            "train": {"lr": 0.01, "batch_size": 96},
            "evaluation": {"k": 5},
            **sections,
        }

    def model_dump(self, mode):
        assert mode == "json"
        return self.sections


def start(stage, root, tag, params=None, **options):
    params = params or FakeParams()
    fingerprint = options.pop("fingerprint", f"fp-{stage}-{tag}")
    return stage_run(stage, params, tag, fingerprint, root=root, param_keys=KEYS[stage], **options)
