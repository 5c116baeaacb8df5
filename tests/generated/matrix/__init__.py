"""The matrix of layers: what each counterpart can do, found out by doing it."""
