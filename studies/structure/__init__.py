"""What does the structure game bring? Arms trained from one start, judged beside each other."""
