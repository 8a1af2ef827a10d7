"""What drawing needs of a denoiser: its networks, how often they are asked, its fitted levels."""
