"""What one uses from Python: each piece is imported when it is first asked for.

    import sadm

    denoiser = sadm.load_denoiser("outputs/ema/0.1.safetensors")
    images = sadm.generate(denoiser, 64, labels=[3, 7])

Neither Ray nor MLflow nor DVC is loaded. docs/library.md shows more.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataset.store import ImageDataset
    from evaluation.config import EvaluationConfig
    from evaluation.folders.judge_folders import judge_folders
    from evaluation.judge import judge
    from evaluation.pictures import sample_grid
    from evaluation.reference import load_reference
    from models.denoiser import load_denoiser
    from pipelines.params import load_params
    from sadm.pictures import generate
    from sampling.config import SamplerConfig
    from sampling.solvers.table import solve

WHERE = {
    "EvaluationConfig": "evaluation.config",
    "ImageDataset": "dataset.store",
    "SamplerConfig": "sampling.config",
    "generate": "sadm.pictures",
    "judge": "evaluation.judge",
    "judge_folders": "evaluation.folders.judge_folders",
    "load_denoiser": "models.denoiser",
    "load_params": "pipelines.params",
    "load_reference": "evaluation.reference",
    "sample_grid": "evaluation.pictures",
    "solve": "sampling.solvers.table",
}
"""Public name -> the module that has it."""

__all__ = [
    "EvaluationConfig",
    "ImageDataset",
    "SamplerConfig",
    "generate",
    "judge",
    "judge_folders",
    "load_denoiser",
    "load_params",
    "load_reference",
    "sample_grid",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        from foundation.did_you_mean import spelling_hint

        raise AttributeError(f"sadm has no {name!r}{spelling_hint(name, WHERE)}")
    found = getattr(importlib.import_module(WHERE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *WHERE])
