"""Solvers by name; `solve` is the one way to run them."""

from sampling.solvers.table import SOLVERS, make_solver, solve

__all__ = ["SOLVERS", "make_solver", "solve"]
