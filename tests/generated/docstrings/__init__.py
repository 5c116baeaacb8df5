"""What the docstring of a generated class says, read from its text."""
