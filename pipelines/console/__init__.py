"""What a person at the terminal sees: errors in one line, progress, a training under way."""
