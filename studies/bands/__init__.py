"""What displaced bands cost in quality (docs/parallel_inference.md)."""
