"""Time grids, solvers and guidance: any denoiser D(x; sigma, labels) in, images out."""
