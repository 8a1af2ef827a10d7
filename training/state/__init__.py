"""The state of a training run: in memory, in checkpoints, snapshots and curves."""
