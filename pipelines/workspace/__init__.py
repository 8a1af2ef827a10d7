"""The files of a project: where they lie, what they depend on, whose they are."""
