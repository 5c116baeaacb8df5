"""One call for all tasks: every weight and argument with a leading task axis."""
