"""Model files as users write them."""
