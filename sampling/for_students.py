"""Which samplers fit a student, a denoiser that was trained to draw in a few given evaluations."""

import math
from collections.abc import Sequence

from foundation.number_names import number_name
from sampling.config import SamplerConfig

START = 80.0
"""Noise level at which a student that may be called at any level begins."""


def student_sampler(levels: Sequence[float] | None) -> SamplerConfig:
    """The sampler that calls a student at its levels, from high to low; None: once, at START."""
    return SamplerConfig(
        solver="consistency", grid="explicit", sigmas=tuple(levels) if levels else (START,)
    )


def student_refusal(
    sampler: SamplerConfig, levels: Sequence[float] | None, follows_paths: bool = False
) -> tuple[str, str]:
    """(the sampler's key, why a student cannot be drawn with it and the mend); ("", "") if it can.

    levels: at which the student was trained, from high to low; None: at any. follows_paths: it is
    still a denoiser, which any solver may call.
    """
    if follows_paths and sampler.grid == "fitted":
        return "grid", "fitted belongs to the denoiser that it was searched with: use another grid"
    if sampler.guidance:
        return "guidance", (
            "a student gives the image itself, which guidance would push away: leave it out"
        )
    if sampler.adapter:
        return "adapter", "a student has no adapter of its own: leave it out"
    if follows_paths:
        return "", ""
    steps = sampler.step_count
    if sampler.solver != "consistency" and (steps > 1 or sampler.nfe > 1):
        return "solver", (
            f"{sampler.solver} in {steps} steps follows a path, which a student does not: use "
            "solver consistency, or steps: 1"
        )
    if sampler.solver_options.get("churn"):
        return "solver_options", (
            "churn raises the noise above the level at which a student is called: leave it out"
        )
    if levels is None:
        return "", ""
    if steps > len(levels):
        return "sigmas" if sampler.sigmas is not None else "steps", (
            f"{steps} evaluations, and the student was trained for {len(levels)} "
            f"({_listed(levels)}): use at most {len(levels)}"
        )
    if steps > 1 and sampler.grid in ("optimized", "fitted"):
        return "grid", (
            f"{sampler.grid} does not meet the student's levels: use grid explicit with sigmas "
            f"{_listed(levels[:steps])}"
        )
    visited = sampler.visited_levels() if steps > 1 else (sampler.start,)
    if not all(
        math.isclose(a, b, rel_tol=1e-6) for a, b in zip(visited, levels[:steps], strict=True)
    ):
        return "sigmas" if sampler.sigmas is not None else "grid", (
            f"calls the student at {_listed(visited)}, and it was trained at "
            f"{_listed(levels[:steps])}: use grid explicit with these"
        )
    return "", ""


def _listed(levels: Sequence[float]) -> str:
    return f"[{', '.join(number_name(level) for level in levels)}]"
