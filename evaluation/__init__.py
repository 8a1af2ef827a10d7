"""Judges generated images: features, distances, local structure, pictures."""
