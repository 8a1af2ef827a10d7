"""Reads runs back from MLflow and compares them."""
