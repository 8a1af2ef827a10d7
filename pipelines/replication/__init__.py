"""Statistics of a comparison over several seeds."""
