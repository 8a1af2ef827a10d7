"""Frozen settings of one sampler: its solver, time grid and guidance."""

from collections.abc import Sequence
from operator import not_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from foundation.bounds import NOISE_LEVEL, AtMost
from foundation.names_in_settings import NameIn
from foundation.settings_base import Settings, left_out_at
from sampling.bands_config import BandsConfig
from sampling.grids.explicit import Explicit
from sampling.grids.table import GRIDS, grid_levels, make_grid
from sampling.guidance.config import GuidanceConfig
from sampling.guidance.table import GuidanceEntry, network_evaluations
from sampling.solvers.step import Solver
from sampling.solvers.table import SOLVERS, evaluated_levels, make_solver

if TYPE_CHECKING:
    from torch import Tensor

OptionValue = bool | int | float | str
MAX_STEPS = AtMost(10_000, "DDPM has 1,000, and more change no image")
MAX_SEARCHED = 100
"""Steps of grid optimized, whose search takes minutes at this number."""
MAX_FITTED = 40
"""Steps of grid fitted, whose search takes as long as the square of their number."""
Sigma = Annotated[float, Field(gt=0), NOISE_LEVEL]


def whole_images_only(entry: GuidanceConfig) -> bool:
    """Whether a guidance needs more of the network than its images, which bands do not give."""
    return entry.needs.plain_denoiser or entry.needs.classifier or entry.needs.attribute


class SamplerConfig(Settings):
    """How images are drawn from a denoiser. Raises ValueError for unknown names and options."""

    solver: Annotated[str, NameIn("solver", SOLVERS)] = "heun"
    """How the noise is carried along the time grid (docs/sampling.md)."""
    grid: Annotated[str, NameIn("grid", GRIDS)] = "karras"
    """Where the noise levels lie (docs/sampling.md); explicit when sigmas are given, fitted for
    levels that are searched for with the weights that draw."""
    steps: Annotated[int, Field(ge=1), MAX_STEPS] = 18
    """Steps of the time grid; grid explicit has one step for each sigma above 0. With 1 the solver
    goes from sigma_max to 0 at once."""
    sigma_min: Sigma = 0.002
    """Last noise level above 0; a sampler of one step does not use it."""
    sigma_max: Sigma = 80.0
    """First noise level."""
    sigmas: Annotated[tuple[Annotated[float, NOISE_LEVEL], ...], MAX_STEPS] | None = None
    """The noise levels of grid explicit, strictly decreasing; the last 0 may be left out. With them
    steps, sigma_min and sigma_max are ignored."""
    grid_options: dict[str, OptionValue] = Field(default_factory=dict)
    """Options of the grid, e.g. {rho: 7} for karras or {c: 0.5} for arctan."""
    solver_options: dict[str, OptionValue] = Field(default_factory=dict)
    """Options of the solver, e.g. {eta: 1} for ddim, {order: 3} for unipc, {churn: 40} for heun,
    {tolerance: 0.02} for adaptive_heun."""
    adapter: bool = False
    """Switch on the adapter that the structure game trained (model.adapter_rank)."""
    guidance: Annotated[
        tuple[GuidanceEntry, ...], AtMost(8, "each multiplies what an image costs")
    ] = ()
    """Guidance, innermost first: each entry wraps the result of the entries before it."""
    told_sigma: Annotated[
        float,
        Field(gt=0),
        AtMost(2, "the network would take half of the image for noise"),
        left_out_at(1.0),
    ] = 1.0
    """The noise level that the network is told, in parts of the state's own: 1.005 does what
    training with noise.perturbation 0.1 does (docs/convergence.md)."""
    bands: Annotated[BandsConfig | None, Field(exclude_if=not_)] = None
    """{count: 4, warm_up: 1}: draw each image in so many bands, which use each other's values of
    the evaluation before after 1 + warm_up fresh ones (docs/parallel_inference.md); null: whole
    images, or exact bands (cluster.band_workers)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        solver = make_solver(self.solver, **self.solver_options)
        if solver.own_steps() is not None and self.grid in ("fitted", "optimized"):
            raise ValueError(
                f"grid {self.grid} is searched for, and {solver.own_steps()}, so only its ends and "
                "its first step would count: use grid karras"
            )
        if self.bands is not None and solver.unlike_the_last() is not None:
            raise ValueError(
                f"bands: {solver.unlike_the_last()}, so values of the evaluation before belong to "
                "other noise: leave out bands (exact ones, of cluster.band_workers, remain)"
            )
        if (self.sigmas is not None) != (self.grid == "explicit"):
            raise ValueError(
                f"grid is {self.grid!r} and sigmas {'are' if self.sigmas else 'are not'} given: "
                "sigmas and grid: explicit go together"
            )
        if self.sigmas is not None:
            if self.grid_options:
                raise ValueError("grid 'explicit' has no grid_options: give sigmas only")
            self._levels()
        else:
            make_grid(self.grid, **self.grid_options)
            if self.grid == "optimized" and self.steps > MAX_SEARCHED:
                raise ValueError(
                    f"steps {self.steps}: grid optimized is searched for up to {MAX_SEARCHED} "
                    "steps, beyond which the search takes hours: use grid karras or log_snr"
                )
            self._check_fitted(solver)
            if self.sigma_min >= self.sigma_max:
                raise ValueError(
                    f"sigma_min {self.sigma_min} is not below sigma_max {self.sigma_max}"
                )
        for before, entry in zip((None, *self.guidance), self.guidance, strict=False):
            if entry.needs.guidance_inside and (before is None or before.needs.guidance_inside):
                raise ValueError(
                    f"guidance: {entry.kind} limits the entry before it, and there is none to limit"
                )
            changed = self.adapter or self.told_sigma != 1
            if entry.needs.plain_denoiser and (before is not None or changed):
                raise ValueError(
                    f"guidance: {entry.kind} reaches into the network: put it first in the list, "
                    "with adapter: false and told_sigma: 1"
                )
            together = entry.group_size > 1 or entry.needs.whole_batches
            if together and solver.own_steps() is not None:
                raise ValueError(
                    f"guidance: {entry.kind} draws groups of images together, and "
                    f"{solver.own_steps()}: use another solver, or leave out this guidance"
                )
            if self.bands is not None and whole_images_only(entry):
                raise ValueError(
                    f"guidance: {entry.kind} reaches into the network or differentiates it, which "
                    "bands of images do not allow: leave out bands, or this guidance"
                )
        return self

    def _check_fitted(self, solver: Solver) -> None:
        """Raise ValueError where grid fitted does not go with the other settings."""
        if self.grid != "fitted":
            return
        images: Any = dict(make_grid(self.grid, **self.grid_options))["images"]
        if self.steps > MAX_FITTED:
            raise ValueError(
                f"steps {self.steps}: grid fitted is searched for up to {MAX_FITTED} steps, beyond "
                "which all grids are good: use grid karras or log_snr"
            )
        if solver.fresh_noise() is not None:
            raise ValueError(
                f"grid fitted follows a path without fresh noise, and {solver.fresh_noise()}: use "
                "another grid, or a deterministic solver"
            )
        if self.bands is not None:
            raise ValueError(
                "grid fitted is fitted to whole images: leave out bands (exact ones, of "
                "cluster.band_workers, remain), or use another grid"
            )
        for entry in self.guidance:
            if images % entry.group_size:
                raise ValueError(
                    f"grid fitted: its {images} images cut the groups of {entry.group_size} "
                    f"of guidance {entry.kind}: set grid_options {{images: {entry.group_size}}}"
                )

    @property
    def levels_unknown(self) -> str | None:
        """Why its noise levels are known only once weights are there; None: they are settings."""
        if self.grid == "fitted" and self.steps > 2:
            return "grid fitted finds its levels for trained weights"
        return self.make_solver().own_steps()

    @property
    def counts_calls(self) -> bool:
        """Whether each image takes a number of evaluations of its own."""
        return self.make_solver().own_steps() is not None and self.step_count > 1

    def with_levels(self, levels: Sequence[float]) -> Self:
        """The sampler on these levels, as grid explicit."""
        grid = {"grid": "explicit", "sigmas": tuple(levels), "grid_options": {}}
        return type(self)(**{**self.model_dump(), **grid})

    def time_grid(self, cache_dir: Path | None = None) -> "Tensor":
        """The noise levels, float64 [steps + 1], strictly decreasing to 0.

        cache_dir: folder in which an optimized grid is kept.
        """
        import torch

        return torch.from_numpy(self._levels(cache_dir))

    def _levels(self, cache_dir: Path | None = None) -> np.ndarray:
        if self.sigmas is not None:
            levels = Explicit(sigmas=self.sigmas).visited
            return grid_levels("explicit", len(levels), levels[-1], levels[0], sigmas=self.sigmas)
        return grid_levels(
            self.grid,
            self.steps,
            self.sigma_min,
            self.sigma_max,
            cache_dir=cache_dir,
            **self.grid_options,
        )

    def visited_levels(self, cache_dir: Path | None = None) -> tuple[float, ...]:
        """The levels of the time grid above 0, from high to low, without torch.

        cache_dir: folder in which an optimized grid is kept.
        """
        return tuple(float(level) for level in self._levels(cache_dir)[:-1])

    def make_solver(self) -> Solver:
        """The solver with its options set."""
        return make_solver(self.solver, **self.solver_options)

    @property
    def start(self) -> float:
        """The first noise level, at which unit noise is scaled."""
        return self.sigma_max if self.sigmas is None else self.sigmas[0]

    @property
    def step_count(self) -> int:
        """Number of steps of the time grid, also of an explicit one."""
        return self.steps if self.sigmas is None else sum(level != 0 for level in self.sigmas)

    @property
    def nfe(self) -> int:
        """The solver's calls of the denoiser per image (NFE); guidance is not counted.

        Where `counts_calls`, they are those of Gaussian data.
        """
        if self.counts_calls:
            return self.make_solver().evaluations(self._levels().tolist())
        return self.make_solver().evaluations([1.0] * self.step_count + [0.0])

    def network_evaluations(self, cache_dir: Path | None = None) -> int:
        """Network evaluations per image, including those of the guidance.

        An evaluation of a guiding network counts as 1; so does a log-probability together with its
        gradient. cache_dir: folder in which an optimized grid is kept. Raises ValueError where
        guidance costs more at some levels, and these are unknown.
        """
        if not self.guidance:
            return self.nfe
        if self.counts_calls:
            raise ValueError(f"{self.levels_unknown}: its evaluations are counted meanwhile")
        levels = evaluated_levels(self.make_solver(), self.time_grid(cache_dir))
        return sum(network_evaluations(self.guidance, sigma) for sigma in levels)
