"""Training and image generation on Ray workers."""
