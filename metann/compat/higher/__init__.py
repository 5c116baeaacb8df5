"""The names and calls of higher."""
