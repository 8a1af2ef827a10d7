"""Judges images that lie in folders, without a data set."""
