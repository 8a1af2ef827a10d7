"""The processes that benchmarks/bands.py starts, and the link between them."""
