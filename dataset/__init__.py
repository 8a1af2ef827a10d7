"""Images on disk: sources, preparation, memory-mapped store, and draws that depend on slots only."""
