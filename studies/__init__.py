"""Studies, each a question answered with the pipeline by a table and a figure."""
