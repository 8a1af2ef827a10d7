"""What the training of an autoencoder begins with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Start:
    """Kinds without training have no use for it."""

    fresh: bool = False
    """Train anew, removing what the run has so far."""
    adopt: str | None = None
    """Fingerprint of an unfinished run of other code, which is continued."""
