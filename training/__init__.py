"""Trains denoisers: the loop, the methods, the structure game, the state of a run."""
