"""The command that learns classes from a few images."""
