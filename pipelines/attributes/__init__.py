"""Predictors of attributes, which guidance reads: the stage that trains them, and the command."""
