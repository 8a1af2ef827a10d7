"""The commands, one thin module each, and what they share; alone uses DVC, Ray and MLflow."""
