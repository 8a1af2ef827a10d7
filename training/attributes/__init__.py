"""Training of what says of an image which values its attributes have."""
