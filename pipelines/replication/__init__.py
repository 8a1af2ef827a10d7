"""What a comparison over several seeds found."""
