"""What judging keeps on disk between runs, finished or not."""
