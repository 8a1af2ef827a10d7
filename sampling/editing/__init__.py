"""Zero-shot editing: an image is drawn anew inside a mask, or noised and denoised again.

Solvers know nothing of it: the known region is held by the denoiser they are given, and resampling
runs them over parts of the time grid.
"""
