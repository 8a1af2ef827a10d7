"""Batch-structure discriminators: neighbour graphs, graph convolutions, structure losses."""
