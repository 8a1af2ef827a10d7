"""Encoders of captions, one a file; configs.py has their settings."""
