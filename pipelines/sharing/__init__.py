"""A folder of weights for others: model card, loading by name, and by diffusers."""
