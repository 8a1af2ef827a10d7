"""How long training and sampling will take, and how much disk: measured on a few steps."""
