"""MLflow: one parent run per result, one child per stage."""
