"""Reads the results of a finished pipeline, and draws its figures and report."""
