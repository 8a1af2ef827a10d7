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
    from sadm.sheets import interpolation_sheet, lengths_sheet, trajectory_sheet
    from sampling.config import SamplerConfig
    from sampling.solvers.table import solve
    from sampling.stored_sampler import load_sampler

WHERE = {
    "EvaluationConfig": "evaluation.config",
    "ImageDataset": "dataset.store",
    "SamplerConfig": "sampling.config",
    "generate": "sadm.pictures",
    "interpolation_sheet": "sadm.sheets",
    "judge": "evaluation.judge",
    "judge_folders": "evaluation.folders.judge_folders",
    "lengths_sheet": "sadm.sheets",
    "load_denoiser": "models.denoiser",
    "load_params": "pipelines.params",
    "load_reference": "evaluation.reference",
    "load_sampler": "sampling.stored_sampler",
    "sample_grid": "evaluation.pictures",
    "solve": "sampling.solvers.table",
    "trajectory_sheet": "sadm.sheets",
}
"""Public name -> the module that has it."""

__all__ = [
    "EvaluationConfig",
    "ImageDataset",
    "SamplerConfig",
    "generate",
    "interpolation_sheet",
    "judge",
    "judge_folders",
    "lengths_sheet",
    "load_denoiser",
    "load_params",
    "load_reference",
    "load_sampler",
    "sample_grid",
    "solve",
    "trajectory_sheet",
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
