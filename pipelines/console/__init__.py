"""What commands print: one-line errors, progress bars, the monitor of a training."""
