"""Draws images from any denoiser D(x; sigma, labels): time grids, solvers, guidance."""
