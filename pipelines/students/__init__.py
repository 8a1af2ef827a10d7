"""Stages that train and judge students of the denoiser."""
