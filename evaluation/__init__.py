"""Floor 3: how good are the generated images? Features, distances, local structure, pictures."""
