"""`metann-generate`: what the generator does for users' own modules."""
