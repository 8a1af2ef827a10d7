"""What several stages have in common: a training run, and an item that is judged."""
