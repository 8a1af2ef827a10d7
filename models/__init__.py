"""Floor 1: networks and the arithmetic of their weights."""
