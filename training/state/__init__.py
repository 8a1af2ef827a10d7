"""All that the future of a training run depends on, in memory and on disk."""
