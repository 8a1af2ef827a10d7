"""Adapters of a frozen denoiser that know one class each, from a few images of it."""
