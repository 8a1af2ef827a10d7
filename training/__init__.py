"""Floor 3: the training loop, its objectives and its checkpoints."""
