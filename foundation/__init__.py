"""Floor 0: what every floor may use: the group of workers, atomic files, spelling hints,
settings."""
