"""Time grids by name: which noise levels a solver visits."""

from sampling.grids.levels import check_sigmas
from sampling.grids.table import GRIDS, make_grid, time_grid

__all__ = ["GRIDS", "check_sigmas", "make_grid", "time_grid"]
