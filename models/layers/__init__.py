"""Layers of the U-Net, one idea a file."""
