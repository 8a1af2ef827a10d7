"""Autoencoders between pictures and latents: settings in config.py, one file for each network."""
