"""What python -m pipelines.sample asks for, draws and writes: an idea a file."""
