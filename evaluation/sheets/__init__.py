"""Sheets of pictures: tiles, the names beside them, and the sheet of a data set."""
