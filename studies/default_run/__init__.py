"""What the default run should be: how it trains, and what its game shows."""
