"""What a file of an image is made of: its kind, its picture, and what only speaks of it."""
