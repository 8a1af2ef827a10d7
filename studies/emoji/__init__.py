"""Latents and words, shown on emoji: pictures of 64x64 pixels with names."""
