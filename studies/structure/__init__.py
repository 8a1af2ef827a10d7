"""What does the structure game bring? Trains arms from one start and compares their images."""
