"""params.yaml: its sections, how it is read, how combinations of values are checked."""
