"""The sections of the report, from its head to how it was measured."""
