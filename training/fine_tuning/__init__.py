"""Fine-tuning of given weights: all of them, their gains, or a low-rank adapter upon them."""
