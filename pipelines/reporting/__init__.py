"""The numbers and pictures of a finished pipeline, read and drawn."""
