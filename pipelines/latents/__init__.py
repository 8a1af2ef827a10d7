"""The stages autoencoder and encode: from pictures to latents."""
