"""The structure game: the denoiser against a discriminator of batch structure."""
