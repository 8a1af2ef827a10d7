"""Questions asked with the pipeline; each prints a table and draws a figure."""
