"""params.yaml: its sections, how it is read, what is checked."""
