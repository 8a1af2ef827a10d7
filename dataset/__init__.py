"""Images on disk: sources, preparation, memory-mapped access; random draws by image slot."""
