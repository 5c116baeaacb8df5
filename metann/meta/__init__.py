"""Inner loops, and the algorithms that are built on them."""
