"""Captions of images: where they are read from."""
