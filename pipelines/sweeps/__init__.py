"""A search on Ray Tune: its space, its trials, its record and its report."""
