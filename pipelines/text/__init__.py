"""Commands for captions."""
