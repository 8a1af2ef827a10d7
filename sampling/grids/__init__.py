"""Time grids: the noise levels that a solver visits, by name."""

from sampling.grids.levels import check_sigmas
from sampling.grids.table import GRIDS, make_grid, time_grid

__all__ = ["GRIDS", "check_sigmas", "make_grid", "time_grid"]
